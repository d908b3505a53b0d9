"""Flags in sentences: what packages below the command line call `output`, a command's user knows as `--output`.

They name settings in backticks, as Python has them: an argument of a verb (`output`, `resume='auto'`), a setting of the
recipe (`pictures.size`, `split.method='last'`), or a call (`train(resume='runs/a')`). See CONTRIBUTING.md.
"""

import ast
import re
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.console import Console

from eyespot.errors import EyespotError

SETTING = re.compile(r"`(?P<name>[\w.]+)(?:=(?P<value>[^`]+))?`")
CALL = re.compile(r"`(?P<verb>\w+)\((?P<arguments>[^`]+)\)`")
RUNNING: ContextVar[Any] = ContextVar("running", default=None)  # Typer's context of the verb that runs


@contextmanager
def flags_of(context: Any) -> Iterator[None]:
    """Within it, sentences name the flags of the verb of a context; those of errors too."""
    token = RUNNING.set(context)
    try:
        yield
    except EyespotError as error:
        error.args = (with_flags(str(error)), *error.args[1:])
        raise
    finally:
        RUNNING.reset(token)


class SpeakingConsole(Console):
    """A console that prints sentences with the flags of the verb that runs."""

    def print(self, *objects: Any, **options: Any) -> None:
        """As Rich does."""
        super().print(*(with_flags(thing) if isinstance(thing, str) else thing for thing in objects), **options)


def with_flags(sentence: str) -> str:
    """The sentence with flags of the running verb in the place of settings; what it has no flag for stays as it is."""
    context = RUNNING.get()
    if not context or "`" not in sentence:
        return sentence
    with_commands = CALL.sub(lambda match: _command(match, context), sentence)
    return SETTING.sub(lambda match: _flag(match, context), with_commands)


def _command(match: re.Match[str], context: Any) -> str:
    """The command that does what a call does; the call where an argument has no flag."""
    try:
        call = ast.parse(match.group().strip("`"), mode="eval").body
        arguments = {str(word.arg): ast.literal_eval(word.value) for word in getattr(call, "keywords", [])}
        parameters = context.parent.command.load(match["verb"]).params
    except (LookupError, SyntaxError, ValueError):  # it is code of another kind
        return match.group()
    flags = [flag_for(parameters, name, value) for name, value in arguments.items()]
    return " ".join(["eyespot", match["verb"], *map(str, flags)]) if all(flags) and flags else match.group()


def _flag(match: re.Match[str], context: Any) -> str:
    """The flag of a setting; for one of training, where a command looks at data or at a run, train's."""
    name, value = match.group("name", "value")
    try:
        plain = None if value is None else ast.literal_eval(value)
        flag = flag_for(context.command.params, name, plain)
        if flag is None and "." in name:
            of_training = flag_for(context.parent.command.load("train").params, name, plain)
            flag = of_training and f"eyespot train {of_training}"
    except (LookupError, SyntaxError, ValueError):  # it is code of another kind
        flag = None
    return match.group() if flag is None else flag


def flag_for(parameters: Sequence[Any], name: str, value: object = None) -> str | None:
    """The flag for a setting, with its value if one is given; None where the command has none.

    Args:
        parameters: of the command, as Typer has them.
        name: an argument of the verb, or a setting of the recipe by its dotted name.
    """
    options = {parameter.name: parameter for parameter in parameters if parameter.param_type_name == "option"}
    option = options.get(name.replace(".", "_"))
    if option is None and "." in name:
        from eyespot.recipe.schema import OPTIONS, Recipe  # with Pydantic, which most sentences can do without

        short_name = next((option.name for option in OPTIONS.values() if option.key == name), "")
        option = options.get(short_name)
        if option is None and "settings" in options and name.partition(".")[0] in Recipe.model_fields:
            return f"--set {name}{'' if value is None else shlex.quote(f'={value}')}"
    if option is None:
        return None
    if value is None or value is True:
        return str(option.opts[0]) if option.opts else None
    if value is False:
        return str(option.secondary_opts[0]) if option.secondary_opts else None
    return f"{option.opts[0]} {shlex.quote(str(value))}"
