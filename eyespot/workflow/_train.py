"""train: learn, judge the fit, and only then look at the test data, once."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from eyespot.backend import keras
from eyespot.data.dataset import Dataset, shape_text
from eyespot.data.source import load
from eyespot.data.split import split
from eyespot.engine.kernels.cpu import are_compiled
from eyespot.engine.precision import dtype_for
from eyespot.environment import describe_environment
from eyespot.errors import DivergedError, ModelError
from eyespot.evaluation.metrics import Evaluation
from eyespot.export.onnx import write_onnx
from eyespot.files import replacing, write_text
from eyespot.models.own import layers_of_their_own, takes_raw_pixels
from eyespot.output import Output
from eyespot.recipe import Recipe, TrainingRecipe
from eyespot.reporting.curves import learning_curves
from eyespot.reporting.style import save
from eyespot.run import Run, create_run
from eyespot.training.checkpoint import Checkpoints
from eyespot.training.diagnose import Verdict, diagnose
from eyespot.training.events import EventFiles
from eyespot.training.fit import Observer, Outcome, fit
from eyespot.training.history import HistoryFile
from eyespot.training.interrupt import Interrupt
from eyespot.training.program import EngineProgram, KerasProgram, compile_classifier
from eyespot.training.progress import ProgressDisplay
from eyespot.workflow._judge import judge
from eyespot.workflow._recipe import model_before_data, recipe_for
from eyespot.workflow._start import starting_model

ONNX_PROOF_PICTURES = 64
USUAL_LEARNING_RATE = 1e-3  # Adam's default


@dataclass(frozen=True)
class Training:
    """What `train` did.

    Attributes:
        run: where it is written.
        outcome: how it ended, with the history.
        verdict: what the curves say.
        validation: figures of the kept model on validation data; None without any.
        test: its figures on test data; None without any, and after an interruption.
        seconds: for all of it, reading data and drawing figures included.
    """

    run: Run
    outcome: Outcome
    verdict: Verdict
    validation: Evaluation | None
    test: Evaluation | None
    seconds: float

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


def train(  # noqa: PLR0913 - all that a training can be told
    source: str | Dataset | None = None,
    recipe: Recipe | None = None,
    output: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    console: Console | None = None,
    observers: Sequence[Observer] = (),
    **options: Any,
) -> Training:
    """Trains a classifier and writes its run: learn, judge the fit, and only then look at the test data, once.

    Args:
        source: as `load` takes it, by default the recipe's dataset; or the name or file of a recipe.
        recipe: everything else; by default a small CNN with sensible settings.
        output: the run's directory; None: `runs/<dataset>-<model>-<n>`.
        settings: keys of the recipe to change, by their dotted names: `{"training.epochs": 3}`.
        console: where progress is printed; None: standard output. `Console(quiet=True)` prints nothing.
        observers: told of steps and epochs.
        options: settings of the recipe to change, by the names of the command line: `model="mlp"`, `epochs=3`, …

    Returns:
        The training, also where the user interrupted it or the loss stopped being a number after a good epoch: its
        `outcome.ending` says so, and the run holds what was good.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit; nothing was trained.
        DivergedError: the loss stopped being a number in the first epoch; there is nothing to keep.
        RunError: `output` exists.
    """
    started = time.perf_counter()
    source, recipe = recipe_for(source, recipe, settings or {})
    recipe = recipe.with_options(options)
    built = model_before_data(source, recipe)
    whole = load(source)
    given = whole.validation is not None
    recipe = recipe.settled(whole.name, validation_given=given)
    dataset = split(whole, recipe.split, recipe.training.seed)
    batch_size = recipe.training.batch_size_for(len(dataset.train))
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"batch_size": batch_size})})
    model = starting_model(recipe, dataset, built)
    with Output(console or Console()) as out:
        run = create_run(Path(output) if output else None, f"{dataset.name}-{_model_stem(recipe)}")
        write_text(run.path / "recipe.yaml", recipe.dump())
        run.write_json("environment.json", describe_environment() | {"dataset_sha256": whole.fingerprint})
        out.open_log(run.path / "log")
        if given and recipe.split.method != "given":
            out.say(
                f"Note: the validation data that {whole.name} comes with is left out (--split {recipe.split.method})."
            )
        outcome = _fit(run, model, dataset, recipe, out, observers)
        training = _conclude(run, outcome, dataset, model.count_params(), started)
        _tell(training, out)
        return training


def _model_stem(recipe: Recipe) -> str:
    """The model's name as part of a directory's name."""
    name = recipe.model.start or recipe.model.name or recipe.name or "own"
    file, _, function = name.rpartition(".py:")
    stem = function if file else Path(name).stem
    return f"from-{stem}" if recipe.model.start else stem


def _fit(  # noqa: PLR0913, PLR0917 - all that is known by then
    run: Run, model: keras.Model, dataset: Dataset, recipe: Recipe, out: Output, observers: Sequence[Observer]
) -> Outcome:
    """Trains, with everything written as it happens; the model then is in the run."""

    training = recipe.training
    sizes = ", ".join(f"{len(split):,} {name}" for name, split in dataset.splits.items())
    out.say(
        f"{run.path}: {dataset.name}, {sizes} pictures of {shape_text(dataset.input_shape)}, {dataset.classes} classes"
    )
    model.summary(print_fn=out.say, line_length=80)
    if not takes_raw_pixels(model):
        out.say(
            "Note: the model does not rescale pixels; it is given 0-255 as they are. Begin it with Rescaling(1/255)."
        )
    if own := layers_of_their_own(model):
        out.say(
            f"Note: model.keras will not open without the code of {', '.join(own)}; model.onnx, by which eyespot "
            "predicts, needs nothing."
        )
    program = _program(model, training, out)
    events = EventFiles(run.path / "tensorboard")
    with Interrupt() as interrupted, ProgressDisplay(out.console, out.say, training.epochs) as display:
        written = (HistoryFile(run.path / "history.csv"), Checkpoints(model, run.path / "checkpoints"), events)
        outcome = fit(program, dataset, training, (*written, display, *observers), interrupted)
    events.close()
    if outcome.ending == "diverged":
        _tell_divergence(run, outcome, dataset, program.learning_rate, out)
    compile_classifier(model, training)  # afresh: the optimizer's state is of the last epoch, the weights may not be
    with replacing(run.path / "model.keras") as path:
        model.save(path)
    with replacing(run.path / "weights.weights.h5") as path:
        model.save_weights(path)
    sample = dataset.train.images[:ONNX_PROOF_PICTURES]
    write_onnx(model, run.path / "model.onnx", dataset.class_names, sample)
    return outcome


def _program(model: keras.Model, recipe: TrainingRecipe, out: Output) -> EngineProgram | KerasProgram:
    """What executes the model; Keras itself where that is asked for, or where the engine cannot."""
    if recipe.engine == "eyespot":
        dtype = dtype_for(recipe.precision)
        try:
            program = EngineProgram(model, recipe, dtype)
        except ModelError as error:
            out.say(f"Note: Keras runs this model, not the engine: {error}")
        else:
            left = {name for name, how in program.lowered.lowering if how == "Keras"}
            told = f", but Keras runs {', '.join(sorted(left))}" if left else ""
            out.say(f"The engine runs this model in {str(dtype).removeprefix('torch.')}{told}.")
            if program.lowered.kernels == "cpu" and not are_compiled():
                out.say("Its kernels are compiled for this processor now, once: some ten seconds.")
            return program
    return KerasProgram(model, recipe)


def _tell_divergence(run: Run, outcome: Outcome, dataset: Dataset, learning_rate: float, out: Output) -> None:
    """Says where the loss was lost; raises where there is nothing to keep."""
    epoch, lower = len(outcome.history) + 1, min(learning_rate / 10, USUAL_LEARNING_RATE)
    told = (
        f"The loss or a weight became NaN or infinite at step {outcome.steps_done} of epoch {epoch}. Try a lower "
        f"learning rate, such as {lower:.2g} (it was {learning_rate:.2g}), and check that pixels are rescaled."
    )
    if outcome.kept_epoch:
        out.say(f"{told} The model after epoch {outcome.kept_epoch} is kept.")
        return
    out.say(told)
    verdict = diagnose(outcome.history, dataset.classes, diverged=True)
    run.write_json("metrics.json", {"verdict": verdict.to_dict()})
    raise DivergedError(f"{told} {run.path} holds the recipe and the log, but no model.")


def _conclude(run: Run, outcome: Outcome, dataset: Dataset, parameters: int, started: float) -> Training:
    """The verdict, the figures on validation data and, last and once, on test data; all written into the run."""

    verdict = diagnose(outcome.history, dataset.classes, diverged=outcome.ending == "diverged")
    if outcome.history.rows:
        save(learning_curves(outcome.history, verdict, run.name), run.path / "figures" / "curves.png")
    judged = {"validation": dataset.validation, "test": dataset.test}
    if outcome.ending == "interrupted":
        del judged["test"]  # the choice of when to stop was the user's, and may not be the last
    evaluations = {name: judge(run, split, name) for name, split in judged.items() if split is not None}
    figures = {name: evaluation.to_dict() for name, evaluation in evaluations.items()}
    told = {"parameters": parameters, "kept_epoch": outcome.kept_epoch, "verdict": verdict.to_dict()}
    run.write_json("metrics.json", told | figures)
    seconds = time.perf_counter() - started
    return Training(run, outcome, verdict, evaluations.get("validation"), evaluations.get("test"), seconds)


def _tell(training: Training, out: Output) -> None:
    """The verdict and the figures, below the epochs."""
    run, validation, test = training.run.path, training.validation, training.test
    out.say()
    out.say(training.verdict.sentence)
    out.say(training.verdict.advice)
    if validation:
        kept = _when(training.outcome)
        out.say(f"Validation: accuracy {validation.accuracy:.2%}, loss {validation.loss:.4f} ({kept}).")
    if test:
        low, high = test.accuracy_interval
        interval = f"95 % interval {low:.2%} to {high:.2%}"
        out.say(f"Test: accuracy {test.accuracy:.2%} ({interval}), loss {test.loss:.4f}.")
    out.say(f"Run: {run}, pictures in {run}/figures, {training.seconds:.1f} s in all.")
    out.say(f"Next: eyespot evaluate {run}")


def _when(outcome: Outcome) -> str:
    """When the model that was kept had its weights."""
    if outcome.ending == "interrupted" and outcome.steps_done and outcome.kept_epoch == len(outcome.history):
        return f"at step {outcome.steps_done} of epoch {outcome.kept_epoch + 1}"
    return f"after epoch {outcome.kept_epoch}"
