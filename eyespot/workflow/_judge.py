"""One model on one split: predictions, figures and pictures, written into the run."""

from contextlib import suppress
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from scipy.special import softmax

from eyespot.data.dataset import Split
from eyespot.evaluation.metrics import Evaluation, evaluate_probabilities
from eyespot.files import replacing
from eyespot.reporting import results
from eyespot.reporting.style import save
from eyespot.run import Run

FIGURES = ("confusion", "right", "wrong")


def judge(run: Run, split: Split, name: str, folder: str = "") -> Evaluation:
    """Predicts a split with the run's ONNX model, and writes predictions and figures below `folder` of the run."""
    predictor = run.predictor()
    names = predictor.class_names
    logits, probabilities = predictor.logits_and_probabilities(split.images)
    evaluation = evaluate_probabilities(softmax(logits, axis=1), split.labels, names, probabilities)
    predictions = probabilities.argmax(axis=1)
    _write_predictions(
        run,
        f"{folder}predictions.parquet",
        {
            "split": [name] * len(split),
            "row": range(len(split)),
            "label": [names[label] for label in split.labels],
            "predict": [names[label] for label in predictions],
            "probability": probabilities.max(axis=1),
            "probabilities": list(probabilities),
        },
    )
    right, wrong = results.right_rows(split, probabilities), results.wrong_rows(split, probabilities)
    told = f"{run.name}, {name}: {evaluation.accuracy:.2%} of {evaluation.n:,} right"
    drawn = (
        results.confusion_matrix(evaluation, names, told),
        results.gallery(split, probabilities, right, names, f"{run.name}, {name}: {len(right):,} right, at random"),
        results.gallery(split, probabilities, wrong, names, f"{run.name}, {name}: {len(wrong):,} wrong, surest first"),
    )
    for kind, figure in zip(FIGURES, drawn, strict=True):
        save(figure, run.path / folder / "figures" / f"{kind}-{name}.png")
    return evaluation


def _write_predictions(run: Run, name: str, columns: dict[str, Any]) -> None:
    """One row a picture; rows of the same split written before are replaced, other splits' kept."""
    path = run.path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(columns)
    with suppress(FileNotFoundError, pa.ArrowInvalid):  # where it is damaged, it is written afresh
        before = pq.read_table(path)
        table = pa.concat_tables([before.filter(pc.field("split") != columns["split"][0]), table])
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
