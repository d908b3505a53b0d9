"""`eyespot`: the commands, and how an error is reported."""

import os
import signal
import sys
from io import TextIOWrapper

import typer
from rich.console import Console

from eyespot import __version__
from eyespot.cli.verbs import VERBS, Verbs
from eyespot.errors import EyespotError

app = typer.Typer(
    cls=Verbs,
    help="Train, diagnose, evaluate, explain and serve small image classifiers.",
    epilog="Start with: eyespot train digits, or with a folder of your own: eyespot look FOLDER",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _not_loaded() -> None:
    """Stands for a verb until it is asked for."""


for verb, summary in VERBS.items():
    app.command(verb, help=summary)(_not_loaded)


@app.callback(invoke_without_command=True)
def eyespot(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    """Options of `eyespot` itself."""
    if version:
        Console().print(f"eyespot {__version__}", highlight=False)
        raise typer.Exit


def main() -> None:
    """Runs the command line; a foreseeable mistake is one sentence on standard error and an exit code."""
    if isinstance(sys.stdout, TextIOWrapper) and sys.stdout.errors == "strict":
        # A pipe on Windows may know some 250 characters; a class's name that it lacks is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        app()
    except EyespotError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("Stopped.", 128 + signal.SIGINT)
    except BrokenPipeError:
        # Whoever read our output has gone, as `head` does; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except OSError as error:
        if error.strerror is None:
            raise
        prefix = f"{error.filename}: " if error.filename else ""
        _fail(f"{prefix}{error.strerror}. What was written before is kept.", 1)


def _fail(sentence: str, code: int) -> None:
    Console(stderr=True).print(f"eyespot: {sentence}", style="red", markup=False, highlight=False, soft_wrap=True)
    sys.exit(code)
