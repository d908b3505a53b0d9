from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest

from eyespot.recipe.option_types import PictureOptions, RecipeOptions
from eyespot.recipe.options import RecipeOption
from eyespot.recipe.schema import OPTIONS, Recipe


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_an_option_says_what_it_is_and_what_its_default_is(option: RecipeOption):
    """Each has a description that begins a sentence and does not end it, a default in words, and a setting."""
    assert option.description[0].isupper()
    assert option.description[-1] not in ".,;:"
    assert option.default
    assert option.help.endswith(f"Default: {option.default}.")
    assert option.key in Recipe().settings() or option.key == "augmentation.policy"


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (
            "size",
            {"key": "pictures.size", "flag": "--size", "type": str, "default": "the backbone's size, or the commonest"},
        ),
        ("color", {"flag": "--color", "negative": "--grey", "type": bool}),
        ("split", {"key": "split.method", "choices": ("fraction", "last", "given", "none", "test")}),
        ("start", {"key": "model.from", "flag": "--from", "type": str, "default": "random weights"}),
        ("model", {"key": "model.name", "flag": "--model"}),
        ("augment", {"key": "augmentation.policy", "flag": "--augment", "default": "none", "group": "Data"}),
        ("average", {"type": float, "range": "above 0 and below 1"}),
        ("warmup_epochs", {"type": float, "flag": "--warmup-epochs", "default": "0", "range": ""}),
        ("max_pixels", {"type": int, "default": "64,000,000"}),
        ("early_stopping", {"negative": "--no-early-stopping", "default": "on", "group": "Stopping"}),
        ("seed", {"range": "from 0 to 4,294,967,295", "group": "Run"}),
    ],
)
def test_an_option_is_what_its_field_says(name: str, values: dict[str, Any]):
    """Name, flag, key, group, type, choices, range and default come from the field."""
    assert {key: getattr(OPTIONS[name], key) for key in values} == values


def test_options_are_typed_as_the_schema_has_them():
    """The names and types that checkers and editors read are those of the schema; None leaves an option as it is."""
    parts = {key: part.annotation for key, part in Recipe.model_fields.items()}
    typed = get_type_hints(RecipeOptions)
    assert typed.keys() == OPTIONS.keys()
    for name, option in OPTIONS.items():
        part, key = option.key.split(".")
        fields = {field.alias or field_name: field for field_name, field in parts[part].model_fields.items()}  # type: ignore[union-attr]
        taken_too = SIZES if name == "size" else None
        assert typed[name] == plain(fields[key].annotation) | taken_too | None, name


SIZES = int | str  # what the validator of `pictures.size` takes besides a pair


def plain(annotation: Any) -> Any:
    """An annotation without Pydantic's limits."""
    if get_origin(annotation) is Annotated:
        return plain(get_args(annotation)[0])
    if get_origin(annotation) in {Union, UnionType}:
        return Union[tuple(plain(part) for part in get_args(annotation))]  # noqa: UP007 - of parts that are not known here
    if get_origin(annotation) is tuple:
        return tuple[tuple(plain(part) for part in get_args(annotation))]  # type: ignore[misc]  # as above
    return annotation


def test_the_options_of_own_images_are_those_of_looking():
    """Whoever looks at images chooses how they are read, as whoever trains; leaks are left out in training alone."""
    assert {name for name, option in OPTIONS.items() if option.key.startswith("pictures.")} == {
        *get_type_hints(PictureOptions),
        "drop_leaks",
    }


@pytest.mark.parametrize("size", [28, "28", "28x28", (28, 28)])
def test_a_size_may_be_written_as_its_type_says(size: int | str | tuple[int, int]):
    """One side, both sides as text, or a pair."""
    assert Recipe().with_options({"size": size}).pictures.size == (28, 28)


def test_every_choice_and_flag_is_in_the_help():
    """Choices are listed as a sentence lists them."""
    assert "pad, crop or squash. Default: pad." in OPTIONS["resize"].help
    assert OPTIONS["class_weights"].help.endswith(": balanced. Default: equal weights.")


def test_no_two_options_share_a_name_or_a_flag():
    """Names, flags and keys are each used once."""
    assert len({option.key for option in OPTIONS.values()}) == len(OPTIONS)
    flags = [flag for option in OPTIONS.values() for flag in (option.flag, option.negative) if flag]
    assert len(set(flags)) == len(flags)
