"""eyespot train"""

from pathlib import Path
from typing import Annotated, Any

import typer

import eyespot
from eyespot.cli.show import AsJson, console, emit
from eyespot.errors import DivergedError, InterruptedRun


def train(
    source: Annotated[
        str | None, typer.Argument(help="A dataset (digits, mnist, …) or a recipe file (.yaml). Default: digits.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(help="Architecture: a name (see eyespot models), path.py:function, or a .keras file. [cnn]"),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Start from a run's or a .keras file's weights.")] = None,
    freeze: Annotated[bool | None, typer.Option("--freeze", help="With --from: train only the head.")] = None,
    split: Annotated[
        str | None, typer.Option(help="Validation data: fraction, last, given or none. [fraction]")
    ] = None,
    fraction: Annotated[float | None, typer.Option(help="Share of training pictures to validate on. [0.1]")] = None,
    stratify: Annotated[bool | None, typer.Option(help="Same share of each class. [stratify]")] = None,
    epochs: Annotated[int | None, typer.Option(help="At most so many passes over the training pictures. [30]")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step. [32]")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="adam, adamw, sgd, rmsprop, nadam, adamax, adagrad, lion. [adam]")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the optimizer's own.")] = None,
    early_stopping: Annotated[bool | None, typer.Option(help="Stop when validation loss stops falling. [on]")] = None,
    patience: Annotated[int | None, typer.Option(help="Epochs to wait for a lower validation loss. [5]")] = None,
    keep: Annotated[
        str | None, typer.Option(help="Which epoch's weights: best (validation loss) or last. [best]")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order, dropout and split. [0]")] = None,
    output: Annotated[Path | None, typer.Option(help="The run's directory. [runs/<dataset>-<model>-<n>]")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a classifier, judge the fit, test it once, and write a run.

    Example: eyespot train mnist --model mnist-cnn-small --epochs 3

    Exit code 0: trained; 1: something asked for cannot be done; 3: the loss diverged (what was good is kept); 130:
    stopped with Ctrl-C (the step under way is finished and the run written).
    """
    from eyespot.output import Output
    from eyespot.recipe import Recipe

    is_recipe = source is not None and source.endswith((".yaml", ".yml"))
    base = Recipe.read(Path(source)).model_dump(by_alias=True) if source and is_recipe else {}
    given: dict[str, dict[str, Any]] = {
        "split": {"method": split, "fraction": fraction, "stratify": stratify},
        "model": {"name": model, "from": start, "freeze": freeze},
        "training": {
            "epochs": epochs,
            "batch_size": batch_size,
            "optimizer": optimizer,
            "learning_rate": learning_rate,
            "early_stopping": early_stopping,
            "patience": patience,
            "keep": keep,
            "seed": seed,
        },
    }
    for part, values in given.items():
        base[part] = base.get(part, {}) | {key: value for key, value in values.items() if value is not None}
    if source and not is_recipe:
        base["dataset"] = source
    out = Output(console(as_json))
    done = eyespot.train(recipe=Recipe.parse(base, where="the options"), output=output, say=out)
    _summarise(out, done.to_dict())
    if as_json:
        emit(done.to_dict())
    raise_for_ending(done.outcome.ending)


def _summarise(out: Any, result: dict[str, Any]) -> None:
    """The verdict and the figures, below the epochs."""
    out.say()
    out.say(result["verdict"]["sentence"])
    out.say(result["verdict"]["advice"])
    if result["val_accuracy"] is not None:
        kept = f"after epoch {result['kept_epoch']}"
        out.say(f"Validation: accuracy {result['val_accuracy']:.2%}, loss {result['val_loss']:.4f} ({kept}).")
    if result["test_accuracy"] is not None:
        low, high = result["test_accuracy_interval"]
        interval = f"95 % interval {low:.2%} to {high:.2%}"
        out.say(f"Test: accuracy {result['test_accuracy']:.2%} ({interval}), loss {result['test_loss']:.4f}.")
    out.say(f"Run: {result['run']}, pictures in {result['run']}/figures, {result['seconds']:.1f} s in all.")
    out.say(f"Next: eyespot evaluate {result['run']}")


def raise_for_ending(ending: str) -> None:
    """Turns a training that did not end well into its exit code; what it has is written by now."""
    if ending == "diverged":
        raise DivergedError("The loss diverged; the run holds the last good model.")
    if ending == "interrupted":
        raise InterruptedRun(
            "Stopped as asked; the run holds what was trained so far, and the test data was not touched."
        )
