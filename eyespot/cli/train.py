"""eyespot train"""

import shlex
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

import eyespot
from eyespot.cli.recipe_options import recipe_options
from eyespot.cli.tables import JsonOption, console, print_json
from eyespot.errors import DivergedError, InterruptedRun, UsageError
from eyespot.recipe.changes import parse_setting

if TYPE_CHECKING:
    from eyespot.workflow.find_lr import LearningRateSuggestion

REPLACED = ("--find-lr", "--json", "--output", "--learning-rate")
WITH_VALUE = ("--output", "--learning-rate")


@recipe_options()
def train(
    source: Annotated[
        str | None,
        typer.Argument(
            help="Your own images (a folder, a table, arrays), a dataset (digits, mnist, …), or a recipe's name or "
            "file. Default: digits."
        ),
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Open a .keras file that contains custom layers.", rich_help_panel="Model"),
    ] = False,
    find_lr: Annotated[
        bool,
        typer.Option(
            "--find-lr",
            help="Suggest a learning rate by a range test; train nothing.",
            rich_help_panel="Optimiser",
        ),
    ] = False,
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="KEY=VALUE: a setting of the recipe, such as training.epochs=5. Repeatable.",
            rich_help_panel="Run",
        ),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(
            help="Run to continue: an unfinished one, or a finished one with more epochs. auto: the latest unfinished "
            "one of this recipe. Default: a new run.",
            rich_help_panel="Run",
        ),
    ] = None,
    accept_changes: Annotated[
        bool,
        typer.Option(
            "--accept-changes",
            help="With --resume: continue even if recipe, data or versions have changed.",
            rich_help_panel="Run",
        ),
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory of the run. Default: runs/<dataset>-<model>-<n>.", rich_help_panel="Output"),
    ] = None,
    mlflow: Annotated[
        str | None,
        typer.Option(
            help="MLflow server or store to log to: http://host:5000, sqlite:///mlflow.db, … Without a value: "
            "MLFLOW_TRACKING_URI, or sqlite:///mlflow.db. Default: none.",
            rich_help_panel="Output",
        ),
    ] = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Train a classifier, judge the fit, evaluate it once on test data, and write a run.

    Example: eyespot train mnist --model mnist-cnn-small --epochs 3

    Exit codes: 0 trained; 1 error; 3 the loss diverged, and the last good
    epoch is kept; 130 or 143 stopped by Ctrl-C or SIGTERM: continue with
    eyespot train --resume RUN.
    """
    changed_settings = dict(parse_setting(text) for text in settings or ())
    if find_lr:
        if resume or mlflow or accept_changes:
            raise UsageError(
                "--find-lr trains nothing to resume or to log: leave out --resume, --accept-changes and --mlflow."
            )
        print_suggestion(
            eyespot.find_lr(source, output=output, trust=trust, settings=changed_settings, **options),
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
        **options,
    )
    if as_json:
        print_json(result.to_dict())
    if result.outcome.ending == "diverged":
        raise DivergedError(f"The loss diverged; {result.run.path} holds the last good model.")
    if result.outcome.ending == "interrupted":
        raise InterruptedRun(
            f"Stopped; the test data was not used. Continue with: eyespot train --resume {result.run.path}",
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
