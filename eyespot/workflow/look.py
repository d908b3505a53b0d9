"""look: describe a dataset, draw it, and say what may be wrong with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from markupsafe import Markup

from eyespot.data.augment.policy import resolve_policy
from eyespot.data.dataset import Dataset, chunks, shape_text
from eyespot.data.load import Source, load
from eyespot.errors import counted
from eyespot.figures.dataset import draw_look, outlier_gallery, pair_gallery, suspect_gallery
from eyespot.figures.style import save
from eyespot.notebook import card, folded, notes, paragraph, table
from eyespot.output import console_for
from eyespot.recipe.data_recipe import AugmentationRecipe
from eyespot.recipe.option_types import LookOptions
from eyespot.recipe.schema import Recipe
from eyespot.reports.summaries import figure_files
from eyespot.run import check_new, create_run
from eyespot.workflow.audit import Audit, audit
from eyespot.workflow.findings import FindingsTable, tables_of, write_findings
from eyespot.workflow.load import reading

SHOWN = {"samples", "leaks", "duplicates", "oddities", "suspects", "augmentation"}  # figures in a notebook


@dataclass(frozen=True)
class Look:
    """Result of `look`.

    Attributes:
        summary: shapes, types, ranges and class counts, as plain values.
        audit: what may be wrong.
        figures: the figures drawn.
        findings_csv: table of everything that concerns one image or file, as `audit.findings` has it.
    """

    summary: dict[str, Any]
    audit: Audit
    figures: list[Path]
    findings_csv: Path

    def __repr__(self) -> str:
        findings = len(self.audit.sentences())
        return f"<Look at {self.audit.dataset!r}: {findings} finding{'' if findings == 1 else 's'}>"

    def _repr_html_(self) -> str:
        """Return what was found as a notebook shows it."""
        splits = self.summary["splits"]
        rows = [
            (name, f"{s['pictures']:,}", shape_text(tuple(s["shape"][1:])), "{} – {}".format(*s["range"]))  # noqa: RUF001
            for name, s in splits.items()
        ]
        counts = [
            (name, *(f"{s['classes'][name]:,}" for s in splits.values())) for name in self.audit.dataset.class_names
        ]
        sentences = self.audit.sentences() or ["Nothing suspicious was found."]
        parts = [
            table(("split", "images", "shape", "pixels"), rows),
            *map(paragraph, sentences),
            *(part for found in tables_of(self.audit.findings) for part in _in_notebook(found)),
            figure_files(path for path in self.figures if path.stem in SHOWN),
            folded("Images of each class", table(("class", *splits), counts)),
            notes(
                [*self.summary["notes"], f"All findings: {self.findings_csv}", f"Figures: {self.findings_csv.parent}"]
            ),
        ]
        return card(
            self.summary["dataset"], f"dataset, {counted(self.audit.dataset.classes, 'class', 'classes')}", parts
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            **self.summary,
            **self.audit.to_dict(),
            "findings_csv": str(self.findings_csv),
            "figures": [str(path) for path in self.figures],
        }


def _in_notebook(found: FindingsTable) -> tuple[Markup | None, ...]:
    return paragraph(f"{found.title}:"), table(found.columns, found.rows, text_columns=len(found.columns))


def look(
    source: Source = "digits",
    output: str | Path | None = None,
    *,
    labels: bool | None = None,
    verbose: int = 1,
    **options: Unpack[LookOptions],
) -> Look:
    """Describe a dataset, draw it, and look for what may be wrong with it.

    Args:
        source: as `load` takes it.
        output: folder for the figures and `findings.csv`; None: `runs/look-<dataset>-<n>`.
        labels: check labels too, which takes a minute or two for 60,000 images; None: those of your own images.
        verbose: 0 prints nothing, 1 shows progress on a terminal.
        options: how your own images are read, as of `load`: `size=28`, `color=False`, …; and `augment`: a policy, or
            `auto`, whose changes of training images are drawn too.

    Raises:
        RecipeError: there is no such policy, or an option is unknown or out of range.
        UsageError: an option has no effect on this source.
        DataError: the dataset is missing or malformed.
        RunError: `output` exists.

    Example:
        >>> found = eyespot.look("digits")
        >>> print(*found.audit.sentences(), sep="\\n")
        >>> [finding.file for finding in found.audit.findings if finding.kind == "label"]
        []
    """
    check_new(output)
    out = console_for(verbose)
    augment = options.pop("augment", None)
    policy = Recipe().with_options({"augment": augment}).augmentation
    dataset = load(source, reading(source, options), verbose=verbose)
    findings = audit(dataset, out, labels=dataset.origin is not None if labels is None else labels)
    folder = create_run(Path(output) if output else None, f"look-{dataset.name}").path
    figures = [*draw_look(dataset, folder), *_draw_audit(findings, folder)]
    if augment is not None:
        figures.append(_draw_augmentation(dataset, resolve_policy(policy, dataset), folder))
    return Look(_summary(dataset), findings, figures, write_findings(findings.findings, folder / "findings.csv"))


def _draw_audit(findings: Audit, folder: Path) -> list[Path]:
    """Draws the figures of an audit, where it found anything."""
    figures = {}
    if findings.leaks:
        figures["leaks.png"] = pair_gallery(findings.dataset, findings.leaks)
    if within_split := [pair for pair in findings.duplicates if not pair.leaks]:
        figures["duplicates.png"] = pair_gallery(findings.dataset, within_split)
    if findings.oddities:
        figures["oddities.png"] = outlier_gallery(findings.dataset, findings.oddities)
    if findings.suspects:
        figures["suspects.png"] = suspect_gallery(findings.dataset, findings.suspects)
    return [save(figure, folder / name) for name, figure in figures.items()]


def _draw_augmentation(dataset: Dataset, recipe: AugmentationRecipe, folder: Path) -> Path:
    from eyespot.figures.augmentation import augmentation_samples  # brings PyTorch

    return save(augmentation_samples(dataset, recipe), folder / "augmentation.png")


def _summary(dataset: Dataset) -> dict[str, Any]:
    splits = {
        name: {
            "pictures": len(split),
            "shape": list(split.images.shape),
            "dtype": str(split.images.dtype),
            "range": [
                min(int(chunk.min()) for chunk in chunks(split.images)),
                max(int(chunk.max()) for chunk in chunks(split.images)),
            ],
            "labels_dtype": str(split.labels.dtype),
            "classes": dict(zip(dataset.class_names, dataset.class_counts(split).tolist(), strict=True)),
        }
        for name, split in dataset.splits.items()
    }
    notes = list(dataset.origin.notes) if dataset.origin else []
    return {"dataset": dataset.name, "splits": splits, "notes": notes}
