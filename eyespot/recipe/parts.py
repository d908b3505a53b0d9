"""Parts of a recipe and of other files: Pydantic models, and what is wrong with their values in one sentence."""

from types import UnionType
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from eyespot.errors import RecipeError, unknown

# What each type of error expects, with the context that Pydantic gives.
EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of fewer digits",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "string_unicode": "text in UTF-8",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
    "greater_than_equal": "at least {ge:.16g}",
    "greater_than": "above {gt:.16g}",
    "less_than_equal": "at most {le:.16g}",
    "less_than": "below {lt:.16g}",
    "literal_error": "{expected}",
    "too_short": "of length {min_length} or more",
    "too_long": "of length {max_length} or less",
    "string_too_short": "text of at least {min_length} letters",
    "string_too_long": "text of at most {max_length} letters",
}


class RecipePart(BaseModel):
    """What all parts share: immutable, and no key that is not listed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


AnyPart = TypeVar("AnyPart", bound=RecipePart)


def parse_part(kind: type[AnyPart], values: object, where: str | None) -> AnyPart:
    """Build any part of a file from plain values.

    Args:
        where: they are written, for the error; None: in a call, so that the error names settings, not keys of a file.

    Raises:
        RecipeError: naming the first key that is unknown or whose value is out of range.
    """
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        sentence = _sentence(kind, error.errors()[0])
        # In a file the keys stand as they are, and are no settings of a call: see CONTRIBUTING.md.
        raise RecipeError(sentence if where is None else f"In {where}: {sentence.replace('`', '')}") from None


def _sentence(recipe: type[BaseModel], problem: ErrorDetails) -> str:
    """What Pydantic found, in the words of a recipe's writer."""
    *parents, key = [str(part) for part in problem["loc"] if part != "[key]"] or ["recipe"]
    dotted, received, context = ".".join([*parents, key]), problem["input"], problem.get("ctx", {})
    if problem["type"] in {"extra_forbidden", "invalid_key"}:
        part: Any = recipe
        for parent in parents:
            part = get_args(part)[0] if parent.isdecimal() else _fields(part)[parent].annotation
            part = next((kind for kind in get_args(part) if get_origin(part) is UnionType), part)
        return unknown("key", dotted, [".".join([*parents, name]) for name in _fields(part)])
    if problem["type"] == "value_error":
        return f"{context['error']}."
    if problem["type"] == "missing":
        return f"`{dotted}` is missing."
    expected = EXPECTED.get(problem["type"], "a value of another kind").format_map(context)
    return f"`{dotted}` must be {expected}; received {received!r}."


def _fields(part: type[BaseModel]) -> dict[str, Any]:
    """Return the fields of a part, by the names that files give them."""
    return {field.alias or name: field for name, field in part.model_fields.items()}
