"""Summaries of results, as a notebook shows them below a cell: figures with intervals, sentences, images.

A summary is made of plain values, as a report is: the results themselves are in `workflow`.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from eyespot.evaluation.metrics import parts_for_notebook
from eyespot.figures.curves import curves_as_svg, curves_together, learning_curve, learning_rate_curve
from eyespot.figures.style import svg
from eyespot.notebook import card, drawings, figures, folded, interval, notes, paragraph, percent, table, wide_picture
from eyespot.reports.compare import ComparedRun, RunPair
from eyespot.reports.html import figure_uri, translator
from eyespot.training.history import History
from eyespot.training.lr_finder import RateCurve
from eyespot.training.verdict import Verdict

JUDGED = ("test", "validation")
GALLERY = 720  # pixels a side of many images in one figure
WORDS = translator("en")
TITLES = {
    "wrong": "most confident mistakes",
    "samples": "training images",
    "leaks": "images that are in two splits",
    "duplicates": "duplicates within a split",
    "oddities": "outliers",
    "suspects": "suspicious labels",
    "augmentation": "augmentation",
}


def run_summary(path: Path, history: History, metrics: Mapping[str, Any]) -> str:
    """A run: accuracy with its interval, the verdict, the learning curves, the most confident mistakes.

    Args:
        path: its directory.
        metrics: as `metrics.json` holds them; without a verdict, the training is not finished.
    """
    name = path.resolve().name
    if "verdict" not in metrics:
        done = "1 epoch is" if len(history) == 1 else f"{len(history):,} epochs are"
        sentence = f"The training is not finished: {done} done. Continue it with train(resume={str(path)!r})."
        return card(name, "run", [paragraph(sentence)])
    verdict = Verdict.from_dict(metrics["verdict"])
    results = [
        (percent(metrics[split]["accuracy"]), f"{split} accuracy, 95 % interval {_interval(metrics[split])}")
        for split in JUDGED
        if split in metrics
    ]
    mark = _mark(str(path), history.rows)
    curves = curves_as_svg(lambda metric: learning_curve(history, verdict, metric), WORDS, mark) if history.rows else []
    mistakes = [path / "figures" / f"wrong-{split}.png" for split in JUDGED if split in metrics][:1]
    return card(
        name,
        "run, 1 epoch" if len(history) == 1 else f"run, {len(history):,} epochs",
        [
            figures(results),
            paragraph(verdict.headline if verdict.is_of_a_later_epoch else None),
            paragraph(verdict.sentence),
            paragraph(verdict.advice),
            drawings(curves),
            figure_files(mistakes),
            notes([f"Directory: {path}"]),
        ],
    )


def _interval(evaluation: Mapping[str, Any]) -> str:
    return f"{interval(evaluation['accuracy_interval'])}, {evaluation['n']:,} images"


def _mark(*values: object) -> str:
    """Begins the names inside a drawing: a notebook shows many in one page, and the same one may be there twice."""
    return f"e{hashlib.sha256(repr(values).encode()).hexdigest()[:10]}"


def figure_files(paths: Iterable[Path]) -> Markup | None:
    """Figures from their files, each folded under its name; what is missing is left out."""
    shown = [(path, figure_uri(path, GALLERY)) for path in paths]
    parts = [folded(f"Figure: {_title(path)}", wide_picture(uri, _title(path))) for path, uri in shown if uri]
    return Markup("\n").join(filter(None, parts)) or None


def _title(path: Path) -> str:
    """What a figure shows, by its file's name."""
    kind = path.stem.partition("-")[0]
    return TITLES.get(kind, path.stem)


def evaluation_summary(
    name: str, on: str, evaluation: Mapping[str, Any], drawn: Iterable[Path], remarks: Sequence[str]
) -> str:
    """An evaluation: accuracy with its interval, the confusion matrix, the most confident mistakes."""
    mistakes = [path for path in drawn if path.name.startswith("wrong")]
    parts = [*parts_for_notebook(evaluation), figure_files(mistakes), notes(remarks)]
    return card(name, f"evaluated on {on}", parts)


def comparison_summary(judged: str, compared: Sequence[ComparedRun], pairs: Sequence[RunPair], page: str) -> str:
    """Several runs: which is better, beyond chance; their figures, and their learning curves together."""
    columns = ("run", "verdict", "accuracy", "95 % interval", "macro F1", "loss", "parameters")
    rows = [
        (
            run.name,
            run.verdict.of_kept_model,
            percent(run.figures["accuracy"]),
            interval(run.figures["accuracy_interval"]),
            f"{run.figures['report']['macro avg']['f1-score']:.4f}",
            f"{run.figures['loss']:.4f}",
            f"{run.metrics['parameters']:,}",
        )
        for run in compared
    ]
    trainings = {run.name: (run.history, run.verdict.of_kept_model) for run in compared}
    mark = _mark([run.path for run in compared])
    curves = curves_as_svg(lambda metric: curves_together(trainings, metric), WORDS, mark)
    sentences = [paragraph(pair.sentence()) for pair in pairs]
    parts = [*sentences, table(columns, rows, text_columns=2), drawings(curves), notes([f"Page: {page}"])]
    return card(f"{len(compared)} runs", f"compared on the {judged} images", parts)


def learning_rate_summary(suggested: float, curve: RateCurve, figure: str) -> str:
    """A suggested learning rate, and the loss at rising rates."""
    drawn = svg(
        learning_rate_curve(curve, suggested, "Range test"),
        _mark(curve.losses.tolist()),
        "Loss of each step while the learning rate rises.",
    )
    parts = [figures([(f"{suggested:g}", "learning rate")]), drawings([drawn]), notes([f"Figure: {figure}"])]
    return card("Suggested learning rate", f"from {len(curve.losses):,} steps", parts)
