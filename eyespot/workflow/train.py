"""train: learn, judge the fit, and only then look at the test data, once."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Unpack

from eyespot.backend import keras
from eyespot.data.dataset import Dataset, shape_text
from eyespot.data.load import Source
from eyespot.engine.hardware import deterministic_kernels
from eyespot.errors import DivergedError, UsageError, counted
from eyespot.evaluation.metrics import Evaluation, compared_with_guessing
from eyespot.figures.curves import learning_curves
from eyespot.figures.style import save
from eyespot.models.cost import summary_text
from eyespot.models.loading import layers_of_their_own, takes_raw_pixels
from eyespot.output import Output, console_for
from eyespot.recipe.option_types import RecipeOptions
from eyespot.recipe.schema import Recipe, TrainingRecipe
from eyespot.reports.summaries import run_summary
from eyespot.run import Run, RunLike, check_new, create_run
from eyespot.training.checkpoint import Checkpoints, TrainingState, latest_state
from eyespot.training.console import Interrupt, ProgressDisplay
from eyespot.training.diagnose import diagnose
from eyespot.training.fit import Observer, Outcome, fit
from eyespot.training.history import History, HistoryFile
from eyespot.training.program import compile_classifier
from eyespot.training.tensorboard import EventFiles
from eyespot.training.verdict import Verdict
from eyespot.workflow.card import CARD, check_card, write_card
from eyespot.workflow.evaluate import measure_split
from eyespot.workflow.finish import write_models
from eyespot.workflow.kept_images import keep_images
from eyespot.workflow.prepare import PreparedTraining, model_stem, names_recipe, prepare, program_for
from eyespot.workflow.resume import AUTO, check_is_the_same, open_earlier, record, unfinished_run
from eyespot.workflow.tracking import Tracking, tracked_run

USUAL_LEARNING_RATE = 1e-3  # Adam's default
LAYERS_SHOWN = 60


@dataclass(frozen=True)
class Training:
    """Result of `train`.

    Attributes:
        run: where it is written.
        outcome: how it ended, with the history.
        verdict: what the curves say.
        validation: figures of the kept model on validation data; None without any.
        test: its figures on test data; None without any, and after an interruption.
        seconds: for all of it, reading data and drawing figures included.
        stopped_by: the signal that interrupted it.
    """

    run: Run
    outcome: Outcome
    verdict: Verdict
    validation: Evaluation | None
    test: Evaluation | None
    seconds: float
    stopped_by: int | None = None

    def __repr__(self) -> str:
        figures = {"test": self.test, "validation": self.validation}
        accuracies = [f"{name} accuracy {one.accuracy:.2%}" for name, one in figures.items() if one]
        return f"<Training of {self.run.path}: {', '.join([*accuracies, self.verdict.of_kept_model])}>"

    def _repr_html_(self) -> str:
        """Return the training as a notebook shows it."""
        evaluations = {"validation": self.validation, "test": self.test}
        metrics = {name: one.to_dict() for name, one in evaluations.items() if one}
        metrics["verdict"] = self.verdict.to_dict()
        return run_summary(self.run.path, self.outcome.history, metrics)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        validation, test = self.validation, self.test
        return {
            "run": str(self.run.path),
            "test_accuracy": test.accuracy if test else None,
            "test_accuracy_interval": list(test.accuracy_interval) if test else None,
            "test_loss": test.loss if test else None,
            "val_accuracy": validation.accuracy if validation else None,
            "val_loss": validation.loss if validation else None,
            "seconds": self.seconds,
            "epochs": len(self.outcome.history),
            "kept_epoch": self.outcome.kept_epoch,
            "ending": self.outcome.ending,
            "verdict": self.verdict.to_dict(),
        }


def train(  # noqa: PLR0913 - each is one setting of the training
    source: Source | None = None,
    recipe: Recipe | None = None,
    output: str | Path | None = None,
    *,
    resume: RunLike | None = None,
    accept_changes: bool = False,
    trust: bool = False,
    settings: Mapping[str, object] | None = None,
    verbose: int = 1,
    observers: Sequence[Observer] = (),
    mlflow: str | None = None,
    **options: Unpack[RecipeOptions],
) -> Training:
    """Train a classifier and write its run: learn, judge the fit, and only then look at the test data, once.

    Args:
        source: as `load` takes it, by default the recipe's dataset; or the name or file of a recipe.
        recipe: everything else; by default a small CNN with sensible settings.
        output: the run's directory; None: `runs/<dataset>-<model>-<n>`.
        resume: a run to go on with. One that was interrupted ends as if it had not been, bit for bit; a finished one
            takes more `epochs`. Everything else comes from it, but arrays that it was trained on must be given again; a
            recipe that is given is compared. `"auto"`: the latest unfinished run of this recipe under `runs/`, else a
            new one.
        accept_changes: resume also where recipe, data, versions or machine differ from those that the run began with.
        trust: open a `.keras` file with classes that are not Keras's own, and are registered with it; a recipe cannot
            ask for this.
        settings: keys of the recipe to change, by their dotted names: `{"training.epochs": 3}`.
        verbose: 0 prints nothing, 1 prints lines, and progress on a terminal. The run's `log` has the lines always.
        observers: notified of steps and epochs.
        mlflow: a tracking server or store to log to as well, such as `http://host:5000` or `sqlite:///mlflow.db`.
        options: settings of the recipe to change, by their short names (`eyespot.RecipeOptions`): `model="mlp"`,
            `epochs=3`, …

    Returns:
        The training, also where the user interrupted it or the loss stopped being a number after a good epoch: its
        `outcome.ending` says so, and the run holds what was good.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit; nothing was trained.
        UsageError: a setting has no effect, or contradicts another one; nothing was trained.
        DivergedError: the loss stopped being a number in the first epoch; there is nothing to keep.
        RunError: `output` exists; or the run to resume is missing, finished, under way in another process, would not
            go on as it began, or has a model card that somebody has changed.
        CheckpointError: the run's checkpoint is of another model.
        TrackingError: `mlflow` cannot be reached; nothing was trained.

    Example:
        >>> training = eyespot.train("digits", model="mlp", epochs=3)
        >>> training.test.accuracy, training.verdict.sentence
        >>> eyespot.train((images, labels), batch_size=64, verbose=0)  # arrays, lists of files, Pillow images, …
    """
    started, terminal = time.perf_counter(), console_for(verbose)
    _check_resume(resume, output, accept_changes=accept_changes)
    earlier = open_earlier(resume)
    if earlier and recipe is None and not names_recipe(source):
        recipe = earlier.recipe
    if resume is None:
        check_new(output)
    tracking = Tracking(mlflow) if mlflow else None
    prepared = prepare(source, recipe, settings or {}, options, trust=trust, verbose=verbose)
    if resume == AUTO:
        earlier = unfinished_run(prepared.recipe)
    changes = check_is_the_same(earlier, prepared, accept_changes=accept_changes) if earlier else []
    if earlier:
        check_card(earlier.path / CARD, earlier)
    name = f"{prepared.dataset.name}-{model_stem(prepared.recipe)}"
    run = earlier or create_run(Path(output) if output else None, name)
    with run.locked(), Output(terminal) as out:
        record(run, prepared, resumed=earlier is not None)
        out.open_log(run.path / "log")
        _introduce(run, prepared, out)
        for change in changes:
            out.say(f"Note: {change}. The training continues; its result differs from an uninterrupted one.")
        with tracked_run(tracking, run, prepared, out) as trackers:
            all_observers = (*observers, *trackers)
            outcome, stopped_by = _fit(run, prepared, out, all_observers, resumed=earlier is not None)
            temperature = write_models(run, prepared, out)
            training = _conclude(
                run, outcome, prepared, temperature=temperature, stopped_by=stopped_by, started=started
            )
        _tell(training, prepared, out)
        return training


def _check_resume(resume: RunLike | None, output: str | Path | None, *, accept_changes: bool) -> None:
    """Raise a UsageError where settings of resuming contradict each other."""
    if accept_changes and resume is None:
        raise UsageError(
            "`accept_changes=True` has no effect without `resume`: name the run to resume, or leave it out."
        )
    if output is not None and resume is not None and resume != AUTO:
        path = resume.path if isinstance(resume, Run) else resume
        raise UsageError(f"`output` has no effect with `resume`: what is resumed is written to {path}. Leave it out.")


def _introduce(run: Run, prepared: PreparedTraining, out: Output) -> None:
    """What is trained on what; what a user should know of it comes last, where it is not scrolled away."""
    dataset = prepared.dataset
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits.items())
    out.say(
        f"{run.path}: {dataset.name}, {sizes} images of {shape_text(dataset.input_shape)}, {dataset.classes} classes"
    )
    out.say(_layers_text(prepared.model))
    for note in prepared.notes:
        out.say(note)


def _fit(
    run: Run, prepared: PreparedTraining, out: Output, observers: Sequence[Observer], *, resumed: bool
) -> tuple[Outcome, int | None]:
    """Trains, with everything written as it happens. Also which signal stopped it."""
    model, dataset, training = prepared.model, prepared.dataset, prepared.recipe.training
    if prepared.recipe.model.input_range == "auto" and not takes_raw_pixels(model):
        out.say(
            "Note: the model does not rescale pixels; it is given 0-255 as they are. Begin it with Rescaling(1/255)."
        )
    if custom_layers := layers_of_their_own(model):
        out.say(
            f"Note: model.keras will not open without the code of {', '.join(custom_layers)}; model.onnx, by which "
            "eyespot predicts, needs nothing."
        )
    steps = training.steps_for(len(dataset.train))
    program = program_for(prepared, steps, out.say)
    keeper = Checkpoints(run.path / "checkpoints", prepared.recipe.checkpoints, out.say)
    state = latest_state(keeper.folder, out.say) if resumed else None
    if resumed:
        out.say(_where(state))
    history_file = HistoryFile(run.path / "history.csv")
    history_file.start_with(state.history if state else History())
    epochs_done = state.epochs if state else 0.0
    events = EventFiles(run.path / "tensorboard", purge_from=int(epochs_done) + 1 if state else None)
    display = ProgressDisplay(out.console, out.say, training.epochs, epochs_done)
    with Interrupt() as interrupted, display, deterministic_kernels(enabled=training.deterministic):
        all_observers: Sequence[Observer] = (history_file, events, display, *observers)
        outcome = fit(program, dataset, training, all_observers, interrupted, keeper, state)
    events.close()
    if outcome.ending == "diverged":
        _tell_divergence(run, outcome, dataset, program.learning_rate, out)
    # Afresh: the optimizer's state is of the last epoch, the weights may not be.
    compile_classifier(model, training, steps)
    return outcome, interrupted.signal


def _layers_text(model: keras.Model) -> str:
    """The layers in a table; of a model with more than fill a screen, their number and that of its parameters."""
    if len(model.layers) <= LAYERS_SHOWN:
        return summary_text(model)
    learnt = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return f"{model.name}: {len(model.layers)} layers with {model.count_params():,} parameters; {learnt:,} are trained."


def _where(state: TrainingState | None) -> str:
    if state is None:
        return "The training was stopped before its first checkpoint, and starts from the beginning."
    position = state.position
    steps_text = f" and {position.steps_done:,} steps" if position.steps_done else ""
    return f"The training continues after {position.epochs_done} epochs{steps_text}."


def _tell_divergence(run: Run, outcome: Outcome, dataset: Dataset, learning_rate: float, out: Output) -> None:
    """Says where the loss was lost; raises where there is nothing to keep."""
    epoch, lower = len(outcome.history) + 1, min(learning_rate / 10, USUAL_LEARNING_RATE)
    message = (
        f"The loss or a weight became NaN or infinite at step {outcome.steps_done} of epoch {epoch}. Try a lower "
        f"learning rate, such as {lower:.2g} (it was {learning_rate:.2g}), and check that pixels are rescaled."
    )
    if outcome.kept_epoch:
        out.say(f"{message} The model after epoch {outcome.kept_epoch} is kept.")
        return
    out.say(message)
    verdict = diagnose(outcome.history, dataset.classes, diverged=True)
    run.write_json("metrics.json", {"ending": outcome.ending, "verdict": verdict.to_dict()})
    raise DivergedError(f"{message} {run.path} holds the recipe and the log, but no model.")


def _conclude(  # noqa: PLR0913 - all that is known in the end
    run: Run,
    outcome: Outcome,
    prepared: PreparedTraining,
    *,
    temperature: float,
    stopped_by: int | None,
    started: float,
) -> Training:
    """The verdict, the figures on validation data and, last and once, on test data; all written into the run."""
    dataset = prepared.dataset
    verdict = diagnose(
        outcome.history,
        dataset.classes,
        diverged=outcome.ending == "diverged",
        evidence=outcome.evidence,
        validation_images=None if dataset.validation is None else len(dataset.validation),
        kept_epoch=outcome.kept_epoch or None,
    )
    if outcome.history.rows:
        save(learning_curves(outcome.history, verdict, run.name), run.path / "figures" / "curves.png")
    splits = {"validation": dataset.validation, "test": dataset.test}
    if outcome.ending == "interrupted":
        del splits["test"]  # the choice of when to stop was the user's, and may not be the last
    given = {name: split for name, split in splits.items() if split is not None}
    predictor = run.predictor()
    evaluations = {name: measure_split(run, predictor, split, name) for name, split in given.items()}
    figures = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    values = {
        "ending": outcome.ending,
        "kept_epoch": outcome.kept_epoch,
        "parameters": prepared.model.count_params(),
        "verdict": verdict.to_dict(),
        "temperature": temperature,
    }
    run.write_json("metrics.json", values | figures)
    if evaluations:
        keep_images(run, dataset, list(evaluations)[-1])
    write_card(run, dataset)
    seconds = time.perf_counter() - started
    return Training(run, outcome, verdict, evaluations.get("validation"), evaluations.get("test"), seconds, stopped_by)


def _tell(training: Training, prepared: PreparedTraining, out: Output) -> None:
    """The verdict, the figures, and what to do next, below the epochs."""
    out.say()
    if training.outcome.ending == "early stopping":
        patience = prepared.recipe.training.patience
        out.say(
            f"Stopped early: validation loss had not fallen for {counted(patience, 'epoch')} (`training.patience`)."
        )
    if training.verdict.is_of_a_later_epoch:
        out.say(training.verdict.headline)
    out.say(training.verdict.sentence)
    out.say(training.verdict.advice)
    _tell_figures(training, prepared.dataset.class_names, out)
    run = training.run.path
    out.say(f"Run: {run}, with figures in {run}/figures; {training.seconds:.1f} s in all.")
    if training.outcome.ending != "interrupted":
        out.say(f"Next: eyespot report {run}")
        if longer := _longer(training, prepared.recipe.training):
            out.say(f"Or, to train on: `train(resume={str(run)!r}, {longer})`")


def _tell_figures(training: Training, class_names: Sequence[str], out: Output) -> None:
    """The figures on validation and test data, and whether they are better than guessing."""
    validation, test = training.validation, training.test
    if validation:
        epoch = _when(training.outcome)
        out.say(f"Validation: accuracy {validation.accuracy:.2%}, loss {validation.loss:.4f} ({epoch}).")
    if test:
        low, high = test.accuracy_interval
        interval = f"95 % interval {low:.2%} to {high:.2%}"
        out.say(f"Test: accuracy {test.accuracy:.2%} ({interval}), loss {test.loss:.4f}.")
        before, after = test.before_calibration.ece, test.calibration.ece
        out.say(f"Expected calibration error: {after:.2%} ({before:.2%} before calibration).")
    elif validation and training.outcome.ending != "interrupted":
        out.say(
            "There are no test images, and choices were made on the validation images: new images may be predicted "
            "less accurately. `split.test_fraction=0.2` holds out a fifth of the images to test on."
        )
    if judged := test or validation:
        for sentence in compared_with_guessing(judged.to_dict(), class_names):
            out.say(sentence)


def _longer(training: Training, recipe: TrainingRecipe) -> str | None:
    """The arguments that train on, where more epochs are advised and do not change those that are done."""
    if not training.verdict.needs_more_epochs or recipe.schedule != "constant":
        return None
    longer = {
        "completed": f"epochs={2 * recipe.epochs}",
        "early stopping": f"patience={4 * recipe.patience}, accept_changes=True",
    }
    return longer.get(training.outcome.ending)


def _when(outcome: Outcome) -> str:
    """When the model that was kept had its weights."""
    if outcome.ending == "interrupted" and outcome.steps_done and outcome.kept_epoch == len(outcome.history):
        return f"weights at step {outcome.steps_done} of epoch {outcome.kept_epoch + 1}"
    return f"weights of epoch {outcome.kept_epoch}"
