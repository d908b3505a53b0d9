"""export: a run's model in the formats other programs open, with all that goes with it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyespot.data.dataset import Dataset, Split
from eyespot.data.load import Source
from eyespot.errors import DataError, UsageError
from eyespot.exporting.formats import ExportSource, format_named
from eyespot.exporting.package import check_target, write_package
from eyespot.exporting.verify import Verification
from eyespot.inference.metadata import METADATA_KEY, read_metadata, temperature_of
from eyespot.notebook import card, figures, notes, percent, table
from eyespot.run import Run, RunLike, open_run
from eyespot.workflow.card import card_of
from eyespot.workflow.run_data import pictures_of

TOLERANCE = 0.005
FOLDER = "exports"
WITH_EXAMPLES = "web"  # the format that shows images


@dataclass(frozen=True)
class ExportResult:
    """Result of `export`.

    Attributes:
        run: what was exported.
        format: its name.
        folder: where it is.
        files: sizes in bytes, by name below the folder.
        verified: the export beside the run's own model.
        on: which images they were compared on.
        tolerance: how much accuracy might have been lost, a share.
        notes: what a user should know of it.
    """

    run: Run
    format: str
    folder: Path
    files: dict[str, int]
    verified: Verification
    on: str
    tolerance: float
    notes: list[str]

    def _repr_html_(self) -> str:
        """Return the export as a notebook shows it."""
        before, after = self.verified.accuracy_before, self.verified.accuracy
        compared_on = f"{self.verified.pictures:,} {self.on} images"
        parts = [
            figures(
                [
                    (percent(after), f"accuracy of the export; the run has {percent(before)}"),
                    (
                        percent(self.verified.agreement),
                        f"same prediction on {compared_on}",
                    ),
                ]
            ),
            table(("file", "bytes"), [(name, f"{size:,}") for name, size in self.files.items()]),
            notes([*self.notes, f"Directory: {self.folder}"]),
        ]
        return card(self.run.name, f"exported as {self.format}", parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "run": str(self.run.path),
            "format": self.format,
            "folder": str(self.folder),
            "files": self.files,
            **self.verified.to_dict(),
            "on": self.on,
            "tolerance": self.tolerance,
            "notes": self.notes,
        }


def export(  # noqa: PLR0913 - each is one option of the command
    run: RunLike,
    format: str = "onnx",  # noqa: A002 - as the option of the command
    output: str | Path | None = None,
    *,
    on: Source | None = None,
    tolerance: float = TOLERANCE,
    examples: bool | None = None,
) -> ExportResult:
    """Write a run's model in another format, and prove that it answers as the run does.

    Each export carries its preprocessing, class names, calibration and the model card, in the model itself as far as
    the format has room, and in `metadata.json` and `model-card.md` beside it.

    Args:
        run: a run, or its directory.
        format: one of `eyespot.exporting.formats.FORMATS`.
        output: the folder; None: `exports/<format>` in the run. An earlier export in it is replaced as a
            whole, unless something in it is not as it was written.
        on: what to compare on, where the run's own images are gone: another source with the same classes. None: the
            run's validation images.
        tolerance: how much accuracy may be lost, a share.
        examples: whether the format `web` holds some test images, for all who open the page; None: those of a public
            dataset, never own ones.

    Raises:
        RunError: the run is missing or half there.
        DataError: there are no images to compare on.
        ExportError: the format is unknown, holds no examples, or its converter is not installed; the model cannot be
            expressed in it; the export is too much worse than the run; or what is at `output` is not an export, or was
            changed. Nothing is left behind.
        OSError: the folder cannot be written.

    Example:
        >>> exported = eyespot.export("runs/digits-cnn-1", "onnx-int8")
        >>> exported.folder, exported.verified.agreement
    """
    if not 0 <= tolerance <= 1:
        raise UsageError(f"The tolerance is a share of the images, from 0 to 1; received {tolerance:g}.")
    form = format_named(format)
    if examples and form.name != WITH_EXAMPLES:
        raise UsageError(f"The format {form.name} holds no examples (`examples`): only {WITH_EXAMPLES} does.")
    opened = open_run(run)
    folder = Path(output) if output else opened.path / FOLDER / form.name
    check_target(folder)
    dataset, notes = _pictures(opened, on)
    name, split, more_notes = _to_compare_on(dataset, own=on is None)
    with_examples = dataset.public and not notes if examples is None else examples
    if form.name == WITH_EXAMPLES and examples is None and dataset.test is not None and not with_examples:
        more_notes.append(
            "Test images are left out, since they are no public dataset's: `examples=True` publishes some."
        )
    predictor = opened.predictor()
    model = opened.file("model.onnx")
    source = ExportSource(
        name=opened.name,
        onnx=model,
        keras=opened.file("model.keras"),
        temperature=temperature_of(model),
        class_names=predictor.class_names,
        input_shape=predictor.input_shape,
        metadata=json.loads(read_metadata(model)[METADATA_KEY]),
        card=card_of(opened),
        validation=split,
        examples=dataset.test if with_examples else None,
    )
    verified = write_package(form, source, predictor.probabilities, folder, tolerance)
    files = {str(path.relative_to(folder)): path.stat().st_size for path in sorted(folder.rglob("*")) if path.is_file()}
    return ExportResult(opened, form.name, folder, files, verified, name, tolerance, [*notes, *more_notes])


def _pictures(run: Run, on: Source | None) -> tuple[Dataset, list[str]]:
    try:
        return pictures_of(run, on)
    except DataError as error:
        if on is not None or "`on`" in str(error):
            raise
        raise DataError(f"{error} An export is compared with its run on images: name some with `on`.") from None


def _to_compare_on(dataset: Dataset, *, own: bool) -> tuple[str, Split, list[str]]:
    """The name of the split, its images, and what a user should know of them."""
    if not own:  # as `evaluate` takes it
        name, split = list(dataset.splits.items())[-1]
        return f"{dataset.name} ({name})", split, []
    if dataset.validation is not None and dataset.validation is not dataset.test:
        return "validation", dataset.validation, []
    note = "The run has no validation images: the export is compared with it on those it was trained on."
    return "train", dataset.train, [note]
