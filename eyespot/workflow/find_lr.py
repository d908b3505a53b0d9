"""find_lr: raise the learning rate step by step, and suggest one to train with."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np

from eyespot.data.load import Source
from eyespot.engine.hardware import deterministic_kernels
from eyespot.errors import RunError, UsageError
from eyespot.figures.curves import learning_rate_curve
from eyespot.figures.style import save
from eyespot.files import write_csv
from eyespot.output import Output, console_for
from eyespot.progress_bars import progress_bars
from eyespot.recipe.option_types import RecipeOptions
from eyespot.recipe.schema import Recipe
from eyespot.reports.summaries import learning_rate_summary
from eyespot.run import create_run
from eyespot.training.lr_finder import RateCurve, suggest
from eyespot.training.lr_sweep import sweep
from eyespot.workflow.prepare import model_stem, prepare, program_for

FEWEST_STEPS = 50  # fewer are too rough to read


@dataclass(frozen=True)
class LearningRateSuggestion:
    """Result of `find_lr`.

    Attributes:
        suggested: learning rate.
        curve: the losses that it rests on.
        figure: the curve drawn, with the suggestion; beside it is `curve.csv`.
    """

    suggested: float
    curve: RateCurve
    figure: Path

    def __repr__(self) -> str:
        return f"<LearningRateSuggestion {self.suggested:g}, from {len(self.curve.losses)} steps: {self.figure}>"

    def _repr_html_(self) -> str:
        """Return the suggestion as a notebook shows it."""
        return learning_rate_summary(self.suggested, self.curve, str(self.figure))

    def rows(self) -> list[dict[str, float]]:
        """The curve, a row a step."""
        columns = (self.curve.rates.tolist(), self.curve.losses.tolist(), self.curve.smoothed.tolist())
        return [
            dict(zip(("learning_rate", "loss", "smoothed"), row, strict=True)) for row in zip(*columns, strict=True)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"suggested": self.suggested, "curve": self.rows(), "figure": str(self.figure)}


def find_lr(  # noqa: PLR0913 - as of `train`
    source: Source | None = None,
    recipe: Recipe | None = None,
    output: str | Path | None = None,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 200,
    trust: bool = False,
    settings: Mapping[str, object] | None = None,
    verbose: int = 1,
    **options: Unpack[RecipeOptions],
) -> LearningRateSuggestion:
    """Raise the learning rate from step to step until the loss diverges, and suggest one to train with.

    The method is Smith's range test (2015, arXiv:1506.01186) with a rate that rises by equal factors. Steps are those
    of a training by the recipe, through the program that would train it; its learning rate, its schedule and its
    average of the weights are left aside. The trained weights are thrown away.

    Args:
        source, recipe, trust, settings, options: as of `train`.
        output: a new folder for `curve.png` and `curve.csv`; None: `runs/lr-<dataset>-<model>-<n>`. It is no run.
        lowest, highest: learning rates to begin and to end with.
        steps: from the one to the other; epoch after epoch, where one has fewer.
        verbose: 0 prints nothing, 1 prints lines, and progress on a terminal.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit.
        DivergedError: the loss diverges at once; nothing is written.
        ModelError: it falls nowhere; nothing is written.
        RunError: `output` exists.

    Example:
        >>> found = eyespot.find_lr("digits", model="mlp", optimizer="sgd")
        >>> eyespot.train("digits", model="mlp", optimizer="sgd", learning_rate=found.suggested)
    """
    if not (0 < lowest < highest < np.inf and steps >= FEWEST_STEPS):
        raise UsageError(
            f"Learning rates to try must rise from above 0 in at least {FEWEST_STEPS} steps; received {lowest:g} to "
            f"{highest:g} in {steps}."
        )
    if output and os.path.lexists(output):
        raise RunError(f"{output} exists already, and is not overwritten: choose another `output`.")
    terminal = console_for(verbose)
    prepared = prepare(source, recipe, settings or {}, options, trust=trust, verbose=verbose)
    requested = prepared.recipe.training
    overrides = {"schedule": "constant", "warmup_epochs": 0.0, "average": None, "learning_rate": lowest}
    training = requested.model_copy(update=overrides)
    prepared = replace(prepared, recipe=prepared.recipe.model_copy(update={"training": training}))
    name = f"{prepared.dataset.name}-{model_stem(prepared.recipe)}"
    pictures = len(prepared.dataset.train)
    with Output(terminal) as out:
        for note in prepared.notes:
            out.say(note)
        if requested.schedule != "constant":
            out.say(
                f"Note: the schedule ({requested.schedule}) is left aside here; the suggestion is for its highest "
                "learning rate."
            )
        if training.steps_for(pictures) == 1:
            out.say(
                f"Note: all {pictures:,} training images are one batch, so every step learns the same ones; the "
                "suggestion holds for such steps only."
            )
        program = program_for(prepared, training.steps_for(pictures), out.say)
        description = (
            f"{name}: learning rates from {lowest:g} to {highest:g} in {steps} steps of {training.batch_size} images"
        )
        out.say(f"{description}, {training.optimizer}.")
        rates = np.geomspace(lowest, highest, steps)
        with deterministic_kernels(enabled=training.deterministic), progress_bars(console=terminal) as bar:
            task = bar.add_task("", total=steps)

            def tell(step: int, rate: float, loss: float) -> None:
                description = f"step {step}/{steps}  learning rate {rate:.1e}  loss {loss:.4f}"
                bar.update(task, description=description, completed=step)

            curve = sweep(program, prepared.dataset.train, training, rates, tell)
        suggested = suggest(curve)
        suggestion = _written(suggested, curve, output, name)
        _tell(suggestion, out)
    return suggestion


def _written(suggested: float, curve: RateCurve, output: str | Path | None, name: str) -> LearningRateSuggestion:
    folder = create_run(Path(output) if output else None, f"lr-{name}").path
    figure = save(learning_rate_curve(curve, suggested, name), folder / "curve.png")
    suggestion = LearningRateSuggestion(suggested, curve, figure)
    rows = suggestion.rows()
    write_csv(folder / "curve.csv", list(rows[0]), rows)
    return suggestion


def _tell(suggestion: LearningRateSuggestion, out: Output) -> None:
    curve = suggestion.curve
    lowest = int(curve.smoothed.argmin())
    out.say(
        f"The loss fell from {curve.smoothed[: lowest + 1].max():.3f} to {curve.smoothed[lowest]:.3f}, at "
        f"{curve.rates[lowest]:.1e}, and "
        + (f"diverged at {curve.rates[-1]:.1e}." if curve.diverged else "did not diverge.")
    )
    out.say(f"Suggested learning rate: {suggestion.suggested:g}. Its curve: {suggestion.figure}")
