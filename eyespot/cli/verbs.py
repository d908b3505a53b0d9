"""The verbs by name: a file is imported, and its options made, when its verb is asked for."""

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from eyespot.cli.flags import flags_of
from eyespot.cli.optional_values import with_default
from eyespot.cli.tables import console
from eyespot.output import printing_to

# First sentences of the commands' docstrings, for `eyespot --help`.
VERBS = {
    "look": "Describe a dataset, draw it, and say what may be wrong with it.",
    "train": "Train a classifier, judge the fit, test it once, and write a run.",
    "evaluate": "Measure a run's model: accuracy with its interval, report a class, confusion matrix, right and wrong "
    "pictures.",
    "predict": "Say what pictures show: the most probable class, how probable, and the next ones.",
    "explain": "Draw what the model looks at in pictures.",
    "report": "Write one page that says how good a run's classifier is, how sure that is, and what it gets wrong.",
    "export": "Write a run's model in a format that other programs open, and check that it answers as the run does.",
    "serve": "Answer over HTTP what pictures show, and on a page to draw on.",
    "compare": "Tell which of several runs is really better, by how much, and on which pictures.",
    "study": "Train a recipe and stated changes of it several times, and say what made a difference.",
    "tune": "Search for a better recipe, on validation data alone, and write it as best.yaml.",
    "reproduce": "Run the tutorials' experiments, and set what they give beside what is printed.",
    "models": "List the models by name, with their parameters and multiply-adds for pictures of a given size.",
    "doctor": "Say what executes a run's model on this machine: layer by layer, the optimizer, the precision, and why.",
}


class Verb(TyperCommand):
    """A command in which `--mlflow` may stand alone, and whose sentences name its own flags."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As Typer does, with the default put in."""
        return super().parse_args(ctx, with_default(args))

    def invoke(self, ctx: Any) -> Any:
        """As Typer does."""
        # What a verb prints goes where the command's own words go: to standard error with --json.
        with flags_of(ctx), printing_to(console(ctx.params.get("as_json", False))):
            return super().invoke(ctx)


class Verbs(TyperGroup):
    """The group of all verbs; only the one that is asked for is loaded."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As Typer does, with the verb's own command."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, self.load(name) if name else command, rest

    @staticmethod
    def load(name: str) -> Any:
        """The command of a verb, from the file of its name.

        Raises:
            KeyError: there is no such verb.
        """
        if name not in VERBS:
            raise KeyError(name)
        app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        app.command(name, cls=Verb)(getattr(import_module(f"eyespot.cli.{name}"), name))
        return typer.main.get_command(app)
