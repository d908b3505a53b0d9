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
    "look": "Describe a dataset, draw it, and check it for duplicates, outliers and wrong labels.",
    "train": "Train a classifier, judge the fit, evaluate it once on test data, and write a run.",
    "evaluate": "Evaluate a run's model: accuracy with its interval, classification report, confusion matrix.",
    "predict": "Predict the classes of images, with their probabilities.",
    "explain": "Draw which regions of an image a prediction rests on.",
    "report": "Write a run's report: one HTML page with results, learning curves and mistakes.",
    "export": "Export a run's model to another format, and verify its predictions.",
    "serve": "Serve models over HTTP, with a web page for drawings and photographs.",
    "compare": "Compare runs: accuracy, significance of the differences, images that they predict differently.",
    "study": "Train a recipe and variants of it with several seeds, and test their differences.",
    "tune": "Search for better settings of a recipe on validation data, and write them as best.yaml.",
    "reproduce": "Repeat the tutorials' experiments, and compare the results with the published figures.",
    "models": "List architectures and pretrained backbones with their parameters and multiply-adds.",
    "doctor": "Show what executes a run's model on this machine, layer by layer, and why.",
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
