"""Flags in sentences: what packages below the command line call `output`, a command's user knows as `--output`.

They name settings in backticks, as Python has them: an argument of a verb (`output`, `resume='auto'`), a setting of the
recipe (`pictures.size`, `split.method='last'`), or a call (`train(resume='runs/a')`). See CONTRIBUTING.md.
"""

import re
import shlex
from ast import literal_eval
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from rich.console import Console

from eyespot.errors import EyespotError

SETTING = re.compile(r"`(?:(?P<verb>\w+)\()?(?P<name>[\w.]+)(?:=(?P<value>[^`]+?))?\)?`")
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
    return SETTING.sub(lambda match: _translated(match, context), sentence) if context and "`" in sentence else sentence


def _translated(match: re.Match[str], context: Any) -> str:
    verb, name, value = match.group("verb", "name", "value")
    try:
        plain = None if value is None else literal_eval(value)
        command = context.parent.command.load(verb) if verb else context.command
        flag = flag_for(command.params, name, plain)
        if flag is None and "." in name:  # a setting of training, where a command looks at data or at a run
            verb, flag = "train", flag_for(context.parent.command.load("train").params, name, plain)
    except (LookupError, SyntaxError, ValueError):  # it is code of another kind
        flag = None
    return match.group() if flag is None else f"eyespot {verb} {flag}" if verb else flag


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
