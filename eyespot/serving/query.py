"""Options in an address, after the question mark."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl

from eyespot.errors import unknown
from eyespot.serving.asgi import Scope
from eyespot.serving.problems import Refusal

MOST = 20  # options in one address
WORDS = {"true": True, "1": True, "false": False, "0": False}
SHOWN = 60  # characters of a value that a refusal repeats


@dataclass(frozen=True)
class Option:
    """One option.

    Attributes:
        read: its value from text; raises ValueError with what is expected.
        default: where it is not there; of a text, also where it is empty.
        schema: of its value, as OpenAPI has it.
        told: what it does.
        example: of a value.
        required: it has no default.
    """

    read: Callable[[str], Any]
    default: Any
    schema: Mapping[str, Any]
    told: str
    example: Any = None
    required: bool = False


def flag(told: str) -> Option:
    """True or false; false unless said."""
    return Option(_flag, False, {"type": "boolean", "default": False}, told)


def count(default: int, most: int, told: str) -> Option:
    """A whole number from 1 to `most`."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": default}

    def read(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and len(text) < len(str(most)) + 1 and 1 <= int(text) <= most):
            raise ValueError(f"a whole number from 1 to {most:,}")
        return int(text)

    return Option(read, default, schema, told)


def share(told: str, example: float) -> Option:
    """A number between 0 and 1, without these two; None unless said."""
    schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
    return Option(_share, None, schema, told, example)


def text(told: str, example: str, *, required: bool = False) -> Option:
    """Any text; None unless said."""
    schema = {"type": "string", "minLength": 1} if required else {"type": "string"}  # empty is as if it were not there
    return Option(str, None, schema, told, example, required)


def options_of(scope: Scope, known: Mapping[str, Option]) -> dict[str, Any]:
    """The value of each known option.

    Raises:
        Refusal: an option is not known, is there twice, has a value it cannot have, or is missing.
    """
    given: dict[str, str] = {}
    for name, value in _pairs(scope["query_string"]):
        if name not in known:
            raise _refused(unknown("option", name[:SHOWN], known) if known else f"There is no option {name[:SHOWN]!r}.")
        if name in given:
            raise _refused(f"The option {name} is there twice: give it once.")
        given[name] = value
    return {name: _value(name, option, given.get(name)) for name, option in known.items()}


def _pairs(query: bytes) -> list[tuple[str, str]]:
    if not query:
        return []
    try:
        return parse_qsl(query.decode("ascii"), keep_blank_values=True, max_num_fields=MOST, errors="strict")
    except ValueError:
        raise _refused(
            f"The address has more than {MOST} options, or ones that are not UTF-8, percent-encoded."
        ) from None


def _value(name: str, option: Option, given: str | None) -> Any:
    if given is None or (not given and option.read is str):
        if option.required:
            raise _refused(f"The option {name} is missing: {option.told}")
        return option.default
    try:
        return option.read(given)
    except ValueError as error:
        raise _refused(f"The option {name} must be {error}; received {given[:SHOWN]!r}.") from None


def _flag(text: str) -> bool:
    if text.lower() not in WORDS:
        raise ValueError("true or false")
    return WORDS[text.lower()]


def _share(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < 1:
        raise ValueError("a number between 0 and 1")
    return number


def _refused(detail: str) -> Refusal:
    return Refusal(HTTPStatus.UNPROCESSABLE_ENTITY, "query", detail)
