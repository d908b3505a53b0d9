"""Options of commands made from the recipe's schema. Importing this imports Pydantic."""

import inspect
from collections.abc import Callable, Collection
from typing import Annotated, Any, get_args

import typer

from eyespot.recipe.options import Group, RecipeOption
from eyespot.recipe.schema import OPTIONS

PANELS = (*get_args(Group), "Output")
Command = Callable[..., None]


def recipe_options(names: Collection[str] = tuple(OPTIONS)) -> Callable[[Command], Command]:
    """Give a command the recipe's options in place of its `**options`; one that is not given is None."""

    def with_options(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in signature.parameters.values()
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD
        ]
        parameters = [*(_parameter(OPTIONS[name]) for name in OPTIONS if name in names), *own]
        # Typer reads the signature, and its order is that of the help.
        command.__signature__ = signature.replace(  # type: ignore[attr-defined]  # as `inspect.signature` documents it
            parameters=sorted(parameters, key=_panel)
        )
        return command

    return with_options


def _parameter(option: RecipeOption) -> inspect.Parameter:
    flags = f"{option.flag}/{option.negative}" if option.negative else option.flag
    annotation: Any = Annotated[
        option.type | None, typer.Option(flags, help=option.help, rich_help_panel=option.group, show_default=False)
    ]
    return inspect.Parameter(option.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _panel(parameter: inspect.Parameter) -> int:
    """The place of a parameter's panel in the help; arguments come first."""
    panel = parameter.annotation.__metadata__[0].rich_help_panel
    return PANELS.index(panel) if panel else -1
