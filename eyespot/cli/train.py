"""eyespot train"""

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import eyespot
from eyespot.cli import picture_options
from eyespot.cli.tables import JsonOption, console, print_json
from eyespot.errors import DivergedError, InterruptedRun, RecipeError

if TYPE_CHECKING:
    from eyespot.workflow.find_lr import LearningRateSuggestion

REPLACED = ("--find-lr", "--json", "--output", "--learning-rate")
WITH_VALUE = ("--output", "--learning-rate")


def train(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Your own pictures (a folder, a table, arrays), a dataset (digits, mnist, …), or a recipe's name or "
            "file. Default: digits."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Architecture: a name (see eyespot models), path.py:function, or a .keras file. Default: cnn."
        ),
    ] = None,
    start: Annotated[str | None, typer.Option("--from", help="Start from a run's or a .keras file's weights.")] = None,
    freeze: Annotated[bool | None, typer.Option("--freeze", help="With --from: train only the head.")] = None,
    input_range: Annotated[
        str | None,
        typer.Option(
            help="Pixels that a model of your own expects: auto, 0-255, 0-1, -1-1 or standardised (by the training "
            "images' mean and standard deviation). Default: auto."
        ),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="Validation data: fraction, last, given, none or test. Default: fraction.")
    ] = None,
    fraction: Annotated[
        float | None, typer.Option(help="Share of training pictures to validate on. Default: 0.1.")
    ] = None,
    stratify: Annotated[bool | None, typer.Option(help="Same share of each class. Default: on.")] = None,
    augment: Annotated[
        str | None,
        typer.Option(help="Change training pictures at random: auto, digits, objects, photos or none. Default: none."),
    ] = None,
    class_weights: Annotated[
        str | None,
        typer.Option(help="balanced: pictures of rare classes count for more. Default: all the same."),
    ] = None,
    resample: Annotated[
        str | None,
        typer.Option(help="balanced: an epoch has as many of each class. Default: each picture once."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="At most so many passes over the training pictures. Default: 30.")
    ] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step. Default: 32.")] = None,
    optimizer: Annotated[
        str | None, typer.Option(help="adam, adamw, sgd, rmsprop, nadam, adamax, adagrad, lion. Default: adam.")
    ] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Default: the optimizer's own.")] = None,
    early_stopping: Annotated[
        bool | None, typer.Option(help="Stop when validation loss stops falling. Default: on.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(help="Epochs to wait for a lower validation loss. Default: 5.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="What runs the model: eyespot or keras. Default: eyespot.")] = None,
    precision: Annotated[
        str | None, typer.Option(help="auto, float32 or bfloat16. Default: auto (bfloat16 where it is native).")
    ] = None,
    keep: Annotated[
        str | None, typer.Option(help="Which epoch's weights: best (validation loss) or last. Default: best.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of weights, order, dropout and split. Default: 0.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any key of the recipe, such as training.epochs=5; repeatable.")
    ] = None,
    schedule: Annotated[
        str | None, typer.Option(help="Learning rate: constant, cosine, linear or exponential. Default: constant.")
    ] = None,
    average: Annotated[
        float | None, typer.Option(help="Momentum of a moving average of the weights, such as 0.99. Default: none.")
    ] = None,
    deterministic: Annotated[
        bool | None, typer.Option("--deterministic", help="On a GPU: only kernels that give the same bits twice.")
    ] = None,
    find_lr: Annotated[
        bool, typer.Option("--find-lr", help="Train nothing: raise the learning rate step by step, and suggest one.")
    ] = False,
    mlflow: Annotated[
        str | None,
        typer.Option(
            help="Log to MLflow as well: http://host:5000, sqlite:///mlflow.db, … Without a value: "
            "MLFLOW_TRACKING_URI, or sqlite:///mlflow.db."
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Go on with a run that was interrupted; auto: with the latest of this recipe.")
    ] = None,
    accept_changes: Annotated[
        bool, typer.Option("--accept-changes", help="With --resume: also where recipe, data or versions differ.")
    ] = False,
    trust: Annotated[
        bool, typer.Option("--trust", help="Open a .keras file with classes that are not Keras's own.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="The run's directory. Default: runs/<dataset>-<model>-<n>.")
    ] = None,
    size: picture_options.SizeOption = None,
    resize: picture_options.ResizeOption = None,
    color: picture_options.ColorOption = None,
    class_names: picture_options.ClassNamesOption = None,
    image_column: picture_options.ImageColumnOption = None,
    label_column: picture_options.LabelColumnOption = None,
    split_column: picture_options.SplitColumnOption = None,
    max_bytes: picture_options.MaxBytesOption = None,
    max_pixels: picture_options.MaxPixelsOption = None,
    drop_leaks: picture_options.DropLeaksOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier, judge the fit, test it once, and write a run.

    Example: eyespot train mnist --model mnist-cnn-small --epochs 3

    Exit codes: 0 trained; 1 it could not be done; 3 the loss diverged, and
    what was good is kept; 130 or 143 stopped by Ctrl-C or SIGTERM, and
    eyespot train --resume RUN goes on.
    """
    from eyespot.recipe.changes import parse_setting

    options: dict[str, Any] = {
        "model": model,
        "start": start,
        "freeze": freeze,
        "input_range": input_range,
        "split": split,
        "fraction": fraction,
        "stratify": stratify,
        "augment": augment,
        "class_weights": class_weights,
        "resample": resample,
        "epochs": epochs,
        "batch_size": batch_size,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "early_stopping": early_stopping,
        "patience": patience,
        "engine": engine,
        "precision": precision,
        "keep": keep,
        "seed": seed,
        "schedule": schedule,
        "average": average,
        "deterministic": deterministic,
        "size": size,
        "resize": resize,
        "color": color,
        "class_names": class_names,
        "image_column": image_column,
        "label_column": label_column,
        "split_column": split_column,
        "max_bytes": max_bytes,
        "max_pixels": max_pixels,
        "drop_leaks": drop_leaks,
    }
    changed_settings = dict(parse_setting(text) for text in settings or ())
    if find_lr:
        if resume or mlflow:
            raise RecipeError("--find-lr trains nothing to resume or to log: leave out --resume and --mlflow.")
        print_suggestion(
            eyespot.find_lr(
                source, output=output, trust=trust, settings=changed_settings, console=console(as_json), **options
            ),
            as_json=as_json,
        )
        return
    result = eyespot.train(
        source,
        output=output,
        mlflow=mlflow,
        resume=resume,
        accept_changes=accept_changes,
        trust=trust,
        settings=changed_settings,
        console=console(as_json),
        **options,
    )
    if as_json:
        print_json(result.to_dict())
    if result.outcome.ending == "diverged":
        raise DivergedError(f"The loss diverged; {result.run.path} holds the last good model.")
    if result.outcome.ending == "interrupted":
        raise InterruptedRun(
            f"Stopped as asked, and no test data was touched. Continue with: eyespot train --resume {result.run.path}",
            result.stopped_by or signal.SIGINT,
        )


def print_suggestion(found: "LearningRateSuggestion", *, as_json: bool) -> None:
    """The command that trains with the suggestion; as JSON, everything."""
    command = training_command(sys.argv[1:], found.suggested)
    if as_json:
        print_json(found.to_dict() | {"command": command})
    else:
        console(as_json).print(f"Next: {command}", markup=False, highlight=False, soft_wrap=True)


def training_command(arguments: Sequence[str], rate: float) -> str:
    """The same command line with a learning rate instead of `--find-lr`, for a shell."""
    kept_arguments, skip = [], False
    for argument in arguments:
        if not skip and argument.partition("=")[0] not in REPLACED:
            kept_arguments.append(argument)
        skip = not skip and argument in WITH_VALUE
    return shlex.join(["eyespot", *kept_arguments, "--learning-rate", f"{rate:g}"])
