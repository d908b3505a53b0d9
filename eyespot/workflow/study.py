"""study: a recipe and stated changes of it, each trained several times, and what the validation data says of them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from eyespot.data.dataset import Dataset
from eyespot.data.load import Source, load
from eyespot.errors import EyespotError, RecipeError, check_at_least
from eyespot.figures.curves import DotRow, dots_with_intervals
from eyespot.figures.style import save
from eyespot.files import check_own, rewrite_text, rewriting
from eyespot.notebook import card, notes, paragraph, table, wide_picture
from eyespot.output import console_for
from eyespot.recipe.schema import Recipe
from eyespot.reports.html import figure_uri
from eyespot.run import Run
from eyespot.studies.comparison import (
    COLUMNS,
    VariantComparison,
    VariantMeasurements,
    compare_variants,
    sentences,
    study_page,
    table_row,
)
from eyespot.studies.plan import Change, StudyPlan, Variant, folder_name, names_study, read_plan, variants_of
from eyespot.studies.progress import StudyProgress
from eyespot.workflow.prepare import own_first, prepare, recipe_for
from eyespot.workflow.repeats import check_made_so, circumstances, cost_of, train_or_resume, train_repeats

ROOT = Path("studies")
PICTURE, TABLE, PAGE = "accuracy.png", "study.json", "README.md"
ON_TEST_DATA = "Note: this recipe validates on the test images, so that its test figures are no test."


@dataclass(frozen=True)
class Study:
    """Variants of a recipe, compared.

    Attributes:
        path: its directory, with `study.json`, `README.md`, `accuracy.png` and the runs.
        rows: the base first.
        sentences: what the validation data says, a sentence each.
        notes: what the reader should know besides.
        runs: of each variant, one a repeat.
    """

    path: Path
    rows: tuple[VariantComparison, ...]
    sentences: tuple[str, ...]
    notes: tuple[str, ...]
    runs: tuple[tuple[Run, ...], ...]

    def __repr__(self) -> str:
        size = f"{len(self.rows)} variants, {self.rows[0].repeats} repeats"
        return f"<Study {self.path}: {size}. {' '.join(self.sentences)}>"

    def _repr_html_(self) -> str:
        """Return the study as a notebook shows it."""
        parts = [
            *map(paragraph, self.sentences),
            table(COLUMNS, map(table_row, self.rows)),
            wide_picture(figure_uri(self.path / PICTURE), "validation accuracy by variant"),
            notes([*self.notes, f"Page: {self.path / PAGE}"]),
        ]
        subtitle = f"study, {len(self.rows)} variants, {self.rows[0].repeats} repeats"
        return card(self.path.resolve().name, subtitle, parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        rows_and_runs = zip(self.rows, self.runs, strict=True)
        return {
            "study": str(self.path),
            "repeats": self.rows[0].repeats,
            "variants": [row.to_dict() | {"runs": [str(run.path) for run in runs]} for row, runs in rows_and_runs],
            "sentences": list(self.sentences),
            "notes": list(self.notes),
        }


def study(  # noqa: PLR0913 - each is one setting of the study
    source: Source | None = None,
    *,
    changes: Sequence[Change] | Mapping[str, Mapping[str, object]] = (),
    grid: Mapping[str, Sequence[object]] | None = None,
    repeats: int | None = None,
    output: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    verbose: int = 1,
) -> Study:
    """Train a recipe and its variants with the same seeds, and compare them; what an earlier call finished is kept.

    Args:
        source: a dataset, a recipe's name or file, or a study's file, to which the other arguments are added.
        changes: single changes of the base, by name: `{"no dropout": {"model.dropout": 0}}`.
        grid: keys by their dotted names, and the values each takes; all are combined.
        repeats: trainings of each variant, which differ in the seed alone; None: as the file says, else 3.
        output: the study's directory; None: `studies/<name>`.
        settings: keys to change for all variants, the base too, by their dotted names.
        verbose: 0 prints nothing, 1 prints a line a training, and progress on a terminal.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit; nothing was trained.
        RunError: the directory holds runs of other settings, or a file that would be written over and is not by eyespot
            or was changed; nothing was trained.
        InterruptedRun: the user stopped it; the same call goes on.

    Example:
        >>> result = eyespot.study("digits", grid={"model.dropout": [0, 0.25, 0.5]}, repeats=3)
        >>> print(*result.sentences, sep="\\n")
    """
    check_at_least("repeats", repeats, 1)
    plan = read_plan(source) if isinstance(source, str) and names_study(source) else StudyPlan()
    base = plan.base if isinstance(source, str) and names_study(source) else source
    more_changes = [Change.of(*change) for change in changes.items()] if isinstance(changes, Mapping) else changes
    variants = variants_of([*plan.changes, *more_changes], {**plan.grid, **(grid or {})})
    data, recipe = recipe_for(base, None, {**plan.settings, **(settings or {})})
    out = console_for(verbose)
    checked, notes = _distinct(list(_check(data, recipe, variants, verbose, path_first=own_first(base))))
    title = Path(source).stem if isinstance(source, str) and plan.base else recipe.name or checked[0].dataset.name
    folder, count = Path(output) if output else ROOT / title, repeats or plan.repeats
    check_own(*(folder / name for name in (PICTURE, TABLE, PAGE)))
    for number in range(count):
        for candidate in checked:
            check_made_so(_place(folder, candidate, number), train_repeats(candidate.recipe, number), candidate.dataset)
    runs = _train_all(folder, checked, count, out)
    rows = compare_variants(
        *_split([_measured(candidate, trained) for candidate, trained in zip(checked, runs, strict=True)])
    )
    if checked[0].recipe.split.method == "test":
        notes.append(ON_TEST_DATA)
    result = Study(folder, tuple(rows), tuple(sentences(rows)), tuple(notes), tuple(runs))
    _write(result, title)
    return result


@dataclass(frozen=True)
class _CheckedVariant:
    """A variant that can be trained.

    Attributes:
        recipe: with everything in it that was left open.
        cost: of one training of it, in any unit.
    """

    variant: Variant
    recipe: Recipe
    dataset: Dataset
    parameters: int
    cost: float


def _distinct(checked: Sequence[_CheckedVariant]) -> tuple[list[_CheckedVariant], list[str]]:
    """Without variants that are the base itself; these are noted.

    Raises:
        RecipeError: two variants are the same training.
    """
    distinct, notes = [checked[0]], []
    for candidate in checked[1:]:
        equal = [earlier for earlier in distinct if not earlier.recipe.differences_to(candidate.recipe)]
        if equal and equal[0] is not checked[0]:
            raise RecipeError(
                f"{candidate.variant.name!r} is the same training as {equal[0].variant.name!r}: leave one out."
            )
        if equal:
            notes.append(f"{candidate.variant.name} is the base itself.")
        else:
            distinct.append(candidate)
    if len(distinct) == 1:
        raise RecipeError("There is nothing to compare: every variant is the base itself.")
    return distinct, notes


def _check(
    data: str | Dataset, recipe: Recipe, variants: Sequence[Variant], verbose: int, *, path_first: bool
) -> Iterator[_CheckedVariant]:
    """Builds every variant's model for its data before any is trained."""
    loaded: dict[str, Dataset] = {}
    for variant in variants:
        where = f"the variant {variant.name!r}"
        varied = recipe.with_settings(variant.settings, where)
        picture_settings = varied.reading.model_dump_json()
        if picture_settings not in loaded:
            loaded[picture_settings] = load(data, varied.reading, verbose=verbose, own_first=path_first)
        try:
            prepared = prepare(loaded[picture_settings], varied, {}, {}, trust=False, verbose=0)
        except EyespotError as error:
            raise type(error)(f"In {where}: {error}") from None
        if prepared.dataset.validation is None:
            raise RecipeError(
                f"In {where}: a study compares on validation data: choose another split.method than none."
            )
        cost = cost_of(prepared.model, prepared.recipe, len(prepared.dataset.train))
        yield _CheckedVariant(variant, prepared.recipe, loaded[picture_settings], prepared.model.count_params(), cost)


def _place(folder: Path, candidate: _CheckedVariant, number: int) -> Run:
    name = folder_name(candidate.variant.name)
    return Run(folder / name / f"{name}-seed-{candidate.recipe.training.seed + number}")


def _train_all(folder: Path, checked: Sequence[_CheckedVariant], repeats: int, out: Console) -> list[tuple[Run, ...]]:
    """Each variant's runs; all variants with one seed before any with the next."""
    runs: list[list[Run]] = [[] for _ in checked]
    with StudyProgress(out, sum(candidate.cost for candidate in checked) * repeats) as progress:
        for number in range(repeats):
            for candidate, trained in zip(checked, runs, strict=True):
                label = f"{candidate.variant.name}, repeat {number + 1} of {repeats}"
                observer = progress.experiment(label, candidate.cost)
                run = _place(folder, candidate, number)
                trained.append(
                    train_or_resume(run, train_repeats(candidate.recipe, number), candidate.dataset, observer, folder)
                )
                observer.finish()
    return [tuple(trained) for trained in runs]


def _split(measured: Sequence[VariantMeasurements]) -> tuple[VariantMeasurements, Sequence[VariantMeasurements]]:
    return measured[0], measured[1:]


def _measured(candidate: _CheckedVariant, runs: Sequence[Run]) -> VariantMeasurements:
    metrics = [run.metrics for run in runs]
    figures = {
        f"{prefix}_{name}": [run_metrics.get(split, {}).get(name) for run_metrics in metrics]
        for prefix, split in (("val", "validation"), ("test", "test"))
        for name in ("accuracy", "loss")
    }
    columns = [run.history.column("seconds") for run in runs]
    seconds = [median(column) for column in columns if column]
    diverged = sum(run_metrics["ending"] == "diverged" for run_metrics in metrics)
    return VariantMeasurements(
        candidate.variant.name, dict(candidate.variant.settings), candidate.parameters, figures, seconds, diverged
    )


def _write(result: Study, title: str) -> None:
    """The study's table, page and figure."""
    dots = []
    for row in result.rows:
        spread, difference = row.spreads["val_accuracy"], row.difference
        interval = (spread.low, spread.high) if spread and spread.low is not None and spread.high is not None else None
        ends = (difference.mean, difference.low, difference.high) if difference else None
        dots.append(DotRow(row.name, row.measured.values("val_accuracy"), interval, ends))
    save(dots_with_intervals(dots, title), result.path / PICTURE, rewriting)
    text = json.dumps(result.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)
    rewrite_text(result.path / TABLE, text + "\n")
    rewrite_text(result.path / PAGE, study_page(title, circumstances(), result.rows, result.sentences, result.notes))
