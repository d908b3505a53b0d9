"""reproduce: run the tutorials' experiments, and set what they give beside what is printed."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from eyespot.data.dataset import Dataset
from eyespot.data.load import load
from eyespot.errors import DivergedError, check_at_least
from eyespot.figures.curves import curves_side_by_side
from eyespot.figures.dataset import pixel_values, sample_grid
from eyespot.figures.results import gallery
from eyespot.figures.style import save
from eyespot.files import check_own, rewrite_text, rewriting
from eyespot.models.architectures import build_recipe
from eyespot.models.cost import summary_text
from eyespot.notebook import card, notes, paragraph, table, wide_picture
from eyespot.output import console_for
from eyespot.recipe.recipe_files import recipe_names
from eyespot.recipe.schema import Published, Recipe
from eyespot.reports.html import figure_uri
from eyespot.run import Run
from eyespot.studies.pages import COLUMNS, experiment_page, figure_row, judgement_reasons, reproduction_page
from eyespot.studies.progress import ObservedTraining, StudyProgress
from eyespot.studies.published_figures import JudgedFigure, judge_figures
from eyespot.workflow.repeats import check_made_so, circumstances, cost_of, train_or_resume, train_repeats

ROOT = Path("studies") / "reproduce"
PAGE, PICTURE = "README.md", "dropout.png"
WITH_AND_WITHOUT = ("fashion-cnn", "fashion-cnn-dropout")
FIRST = 25  # test images shown with what is predicted


@dataclass(frozen=True)
class Experiment:
    """One experiment's repeats, judged.

    Attributes:
        runs: one a repeat; they differ in the seed alone.
    """

    recipe: Recipe
    runs: tuple[Run, ...]
    figures: tuple[JudgedFigure, ...]

    @property
    def name(self) -> str:
        """The recipe's name."""
        return str(self.recipe.name)

    @property
    def notes(self) -> list[str]:
        """Notes on choices that the tutorial leaves open."""
        return self.recipe.published.notes if self.recipe.published else []

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.name,
            "description": self.recipe.description,
            "figures": [judged.to_dict() for judged in self.figures],
            "notes": self.notes,
            "runs": [str(run.path) for run in self.runs],
        }


@dataclass(frozen=True)
class Reproduction:
    """A study of the tutorials' experiments, in a directory."""

    path: Path
    experiments: tuple[Experiment, ...]

    def __repr__(self) -> str:
        judged = [figure.judgement for one in self.experiments for figure in one.figures if figure.is_shown]
        counts = ", ".join(f"{count} {judgement}" for judgement, count in Counter(judged).items())
        return f"<Reproduction {self.path}: {len(self.experiments)} experiments; figures: {counts}>"

    def _repr_html_(self) -> str:
        """Return the reproduction as a notebook shows it."""
        parts: list[Markup | None] = []
        for one in self.experiments:
            rows = [figure_row(judged) for judged in one.figures if judged.is_shown]
            parts += [paragraph(one.recipe.description or one.name), table(COLUMNS, rows)]
            parts.append(notes([*judgement_reasons(one.name, one.figures), *one.notes]))
        parts += [
            wide_picture(figure_uri(self.path / PICTURE), "with and without dropout"),
            notes([f"Page: {self.path / PAGE}"]),
        ]
        return card(self.path.resolve().name, f"{len(self.experiments)} experiments beside what is published", parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"study": str(self.path), "experiments": [experiment.to_dict() for experiment in self.experiments]}


def reproduce(
    names: Sequence[str] | None = None,
    repeats: int = 1,
    output: str | Path | None = None,
    *,
    settings: Mapping[str, object] | None = None,
    verbose: int = 1,
) -> Reproduction:
    """Train experiments of the tutorials, and judge each figure they print; what an earlier call finished is kept.

    Args:
        names: of recipes that come with eyespot; None: all.
        repeats: of each; they differ in the seed.
        output: the study's directory; None: `studies/reproduce`.
        settings: keys to change in every recipe, by their dotted names.
        verbose: 0 prints nothing, 1 prints a line a training, and progress on a terminal.

    Raises:
        RecipeError: there is no such recipe or key.
        DataError: a dataset is missing; nothing was trained.
        RunError: the directory holds repeats of other settings, or a file that would be written over and is not by
            eyespot or was changed; nothing was trained.
        InterruptedRun: the user stopped it; the same call goes on.

    Example:
        >>> result = eyespot.reproduce(["fashion-cnn", "fashion-cnn-dropout"], repeats=3)
        >>> result.experiments[0].figures
    """
    check_at_least("repeats", repeats, 1)
    out, folder = console_for(verbose), Path(output) if output else ROOT
    recipes = [Recipe.read(name).with_settings(settings or {}) for name in names or recipe_names()]
    datasets = {
        name: load(name, own_first=False, verbose=verbose)
        for name in dict.fromkeys(recipe.dataset for recipe in recipes)
    }
    planned = {str(recipe.name): [train_repeats(recipe, number) for number in range(repeats)] for recipe in recipes}
    for repeat in (repeat for repeated in planned.values() for repeat in repeated):
        check_made_so(
            _place(folder, repeat), repeat.settled(repeat.dataset, validation_given=False), datasets[repeat.dataset]
        )
    paths = [folder / PAGE, folder / PICTURE, *(folder / name / PAGE for name in planned)]
    check_own(*paths)
    costs = {recipe.name: _cost(recipe, datasets[recipe.dataset]) for recipe in recipes}
    experiments = []
    with StudyProgress(out, sum(costs.values()) * repeats) as progress:
        for recipe in recipes:
            runs = []
            for number, repeat in enumerate(planned[str(recipe.name)]):
                label = f"{recipe.name}, repeat {number + 1} of {repeats}" if repeats > 1 else str(recipe.name)
                run = _run(folder, repeat, datasets[recipe.dataset], progress.experiment(label, costs[recipe.name]))
                runs.append(run)
            experiments.append(_judged(recipe, runs, datasets[recipe.dataset]))
    result = Reproduction(folder, tuple(experiments))
    _write(result, datasets)
    return result


def _place(folder: Path, recipe: Recipe) -> Run:
    return Run(folder / str(recipe.name) / f"{recipe.name}-seed-{recipe.training.seed}")


def _cost(recipe: Recipe, dataset: Dataset) -> float:
    return cost_of(build_recipe(recipe, dataset.input_shape, dataset.classes), recipe, len(dataset.train))


def _run(folder: Path, recipe: Recipe, dataset: Dataset, observer: ObservedTraining) -> Run:
    """The repeat's run, with the pictures that tutorials show."""
    run = train_or_resume(_place(folder, recipe), recipe, dataset, observer, folder)
    if "test" not in run.metrics:
        raise DivergedError(f"The loss of {run.path} stopped being a number in its first epoch: see its log.")
    if not (run.path / "figures" / "samples.png").exists():
        _draw(run, dataset)
    observer.finish()
    return run


def _draw(run: Run, dataset: Dataset) -> None:
    """Draws what tutorials show besides the figures of every run: samples, pixel values, the first test images."""
    figures = {"pixels": pixel_values(dataset)}
    if dataset.test:
        first_images = dataset.test.take(np.arange(min(FIRST, len(dataset.test))))
        predictor = run.predictor()
        probabilities, title = (
            predictor.probabilities(first_images.images),
            f"{run.path.parent.name}: the first test images",
        )
        figures["predictions"] = gallery(
            first_images, probabilities, np.arange(len(first_images)), predictor.class_names, title
        )
    figures["samples"] = sample_grid(dataset)  # the last one to be there
    for name, figure in figures.items():
        save(figure, run.path / "figures" / f"{name}.png")


def _judged(recipe: Recipe, runs: Sequence[Run], dataset: Dataset) -> Experiment:
    pictures = len(dataset.test) if dataset.test else 0
    published = recipe.published or Published(source="")
    figures = judge_figures(published, [_measured(run, published.epoch) for run in runs], pictures)
    return Experiment(recipe, tuple(runs), tuple(figures))


def _measured(run: Run, epoch: str) -> dict[str, Any]:
    """A run's figures, by the names that recipes give them.

    Args:
        epoch: which one those of training and validation are of.
    """
    metrics, history = run.metrics, run.history
    row = dict(history.rows[-1 if epoch == "last" else metrics["kept_epoch"] - 1])
    if epoch == "kept" and "validation" in metrics:  # measured again, of the model as it is shipped
        row |= {f"val_{name}": metrics["validation"][name] for name in ("loss", "accuracy")}
    seconds = sorted(row["seconds"] for row in history.rows)
    test = metrics["test"]
    return {
        "parameters": metrics["parameters"],
        "train_loss": row["loss"],
        "train_accuracy": row["accuracy"],
        "val_loss": row.get("val_loss"),
        "val_accuracy": row.get("val_accuracy"),
        "test_loss": test["loss"],
        "test_accuracy": test["accuracy"],
        "correct_after_rounding": test["correct_after_rounding"],
        "seconds_per_epoch": seconds[len(seconds) // 2],
        "verdict": metrics["verdict"]["fit"],
    }


def _write(result: Reproduction, datasets: Mapping[str, Dataset]) -> None:
    """The study's pages and pictures."""
    for experiment in result.experiments:
        recipe, run = experiment.recipe, experiment.runs[0]
        dataset = datasets[recipe.dataset]
        model = build_recipe(recipe, dataset.input_shape, dataset.classes)
        page_parts = summary_text(model), run.metrics["test"], dataset.class_names, run.path.name
        rewrite_text(result.path / experiment.name / PAGE, experiment_page(recipe, experiment.figures, *page_parts))
    runs = {item.name: item.runs[0] for item in result.experiments if item.name in WITH_AND_WITHOUT}
    if len(runs) == len(WITH_AND_WITHOUT):
        pair = {name: (run.history, run.metrics["verdict"]["fit"]) for name, run in runs.items()}
        save(curves_side_by_side(pair, "Fashion-MNIST, with and without dropout"), result.path / PICTURE, rewriting)
    recipe_figures = [(experiment.recipe, experiment.figures) for experiment in result.experiments]
    page = reproduction_page(recipe_figures, circumstances(), compares=len(runs) == len(WITH_AND_WITHOUT))
    rewrite_text(result.path / PAGE, page)
