from typing import Any

import pytest

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
        ("size", {"key": "pictures.size", "flag": "--size", "type": str, "default": "the commonest size"}),
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


def test_every_choice_and_flag_is_in_the_help():
    """Choices are listed as a sentence lists them."""
    assert "pad, crop or squash. Default: pad." in OPTIONS["resize"].help
    assert OPTIONS["class_weights"].help.endswith(": balanced. Default: equal weights.")


def test_no_two_options_share_a_name_or_a_flag():
    """Names, flags and keys are each used once."""
    assert len({option.key for option in OPTIONS.values()}) == len(OPTIONS)
    flags = [flag for option in OPTIONS.values() for flag in (option.flag, option.negative) if flag]
    assert len(set(flags)) == len(flags)
