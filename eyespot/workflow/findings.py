"""Findings of an audit, an image or a file each: as data, as a CSV table, and as the columns that people are shown."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from eyespot.data.audit.duplicates import DuplicatePair
from eyespot.data.audit.outliers import Outlier
from eyespot.data.dataset import Dataset, SkippedFile
from eyespot.evaluation.label_errors import SuspectLabels
from eyespot.files import write_csv

Kind = Literal["skipped", "leak", "duplicate", "outlier", "label"]


@dataclass(frozen=True)
class Finding:
    """What may be wrong with an image or a file.

    Attributes:
        kind: `skipped`: a file that is left out; `leak`: a pair of equal or nearly equal images in two splits;
            `duplicate`: a pair within a split; `outlier`; `label`: a label that may be wrong.
        reason: in words.
        split: of the image: train, validation or test; None: of a file that is left out.
        row: of the image in its split, from 0.
        file: path below the source, or row in a table; None: the image is no file.
        label: name of its class.
        other_split: of the pair's other image; so are `other_row`, `other_file` and `other_label`.
        suggested: the likelier class, of a label that may be wrong.
        measure: of a pair 1 - cosine of the descriptors, 0 where exactly equal; of an outlier the distance from the
            median in robust standard deviations; of a label the margin, in [-1, 1], the lowest the most suspect.
    """

    kind: Kind
    reason: str
    split: str | None = None
    row: int | None = None
    file: str | None = None
    label: str | None = None
    other_split: str | None = None
    other_row: int | None = None
    other_file: str | None = None
    other_label: str | None = None
    suggested: str | None = None
    measure: float | None = None

    @property
    def image(self) -> str:
        """What the image is called: its file, or its row where it is no file."""
        return self.file or f"row {self.row}"

    @property
    def other_image(self) -> str:
        """What the pair's other image is called."""
        return self.other_file or f"row {self.other_row}"


# Order of the table's columns.
COLUMNS = (
    "kind", "split", "row", "file", "label", "other_split", "other_row", "other_file", "other_label", "suggested",
    "reason", "measure",
)  # fmt: skip
# What people are shown of each kind: a heading, and the columns with the attribute that each shows.
SHOWN: dict[Kind, tuple[str, dict[str, str]]] = {
    "skipped": ("Files that are left out", {"file": "file", "reason": "reason"}),
    "leak": (
        "Pairs in two splits",
        {
            "split": "split", "image": "image", "label": "label", "other split": "other_split",
            "other image": "other_image", "other label": "other_label", "pixels": "reason",
        },
    ),
    "duplicate": (
        "Pairs within a split",
        {
            "split": "split", "image": "image", "label": "label", "other image": "other_image",
            "other label": "other_label", "pixels": "reason",
        },
    ),
    "outlier": (
        "Images that stand out", {"split": "split", "image": "image", "label": "label", "reason": "reason"},
    ),
    "label": (
        "Labels that may be wrong", {"image": "image", "label": "label", "perhaps": "suggested", "margin": "measure"},
    ),
}  # fmt: skip


@dataclass(frozen=True)
class FindingsTable:
    """The findings of one kind as people are shown them.

    Attributes:
        title: a heading.
        columns: names.
        rows: a cell a column, as text.
    """

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def tables_of(findings: Sequence[Finding]) -> list[FindingsTable]:
    """A table for each kind of which there is a finding; a single file that is left out is named in its sentence."""
    tables = []
    for kind, (title, columns) in SHOWN.items():
        rows = [
            tuple(_cell(getattr(finding, attribute)) for attribute in columns.values())
            for finding in findings
            if finding.kind == kind
        ]
        if len(rows) > (kind == "skipped"):
            tables.append(FindingsTable(title, tuple(columns), rows))
    return tables


def _cell(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def write_findings(findings: Iterable[Finding], path: Path) -> Path:
    """Write all as CSV, whole or not at all, and return the path."""
    write_csv(path, COLUMNS, (asdict(finding) for finding in findings), for_spreadsheets=True)
    return path


def skipped_findings(skipped: Iterable[SkippedFile]) -> Iterator[Finding]:
    """Yield the files that are left out."""
    for file in skipped:
        yield Finding("skipped", file.reason, file=file.file)


def pair_findings(dataset: Dataset, pairs: Iterable[DuplicatePair]) -> Iterator[Finding]:
    """Yield the pairs of equal or nearly equal images."""
    for pair in pairs:
        sides = pair.to_dict(dataset)["pictures"]
        own = {key: sides[0][key] for key in ("split", "row", "file", "label")}
        other = {f"other_{key}": sides[1][key] for key in own}
        differing = "" if own["label"] == other["other_label"] else ", different labels"
        kind: Kind = "leak" if pair.leaks else "duplicate"
        yield Finding(kind, f"{pair.equality}{differing}", **own, **other, measure=round(pair.distance, 6))


def outlier_findings(dataset: Dataset, outliers: Iterable[Outlier]) -> Iterator[Finding]:
    """Yield the images that stand out."""
    for outlier in outliers:
        split, row = outlier.place
        reason = f"{outlier.reason}: {outlier.measured}"
        yield Finding("outlier", reason, **_described(dataset, split, row), measure=round(outlier.distance, 2))


def label_findings(dataset: Dataset, suspects: SuspectLabels) -> Iterator[Finding]:
    """Yield the training labels that may be wrong: as many as are estimated to be, the most suspect first."""
    for rank, row in enumerate(suspects.rows[: suspects.estimated].tolist()):
        suggested = dataset.class_names[int(suspects.suggested[rank])]
        margin = round(float(suspects.margins[rank]), 4)
        described = _described(dataset, "train", row)
        yield Finding("label", "another class is likelier", **described, suggested=suggested, measure=margin)


def _described(dataset: Dataset, split: str, row: int) -> dict[str, Any]:
    images = dataset.splits[split]
    file = images.files[row] if images.files else None
    return {"split": split, "row": row, "file": file, "label": dataset.class_names[int(images.labels[row])]}
