from contextlib import nullcontext
from typing import Any

import pytest

from eyespot.errors import UsageError
from eyespot.recipe.effects import SourceKind, check_effect, check_effect_on_source, stated_keys
from eyespot.recipe.recipe_files import recipe_names
from eyespot.recipe.schema import Recipe


def check_all(recipe: Recipe, stated: set[str]) -> None:
    """As a training on MNIST checks what it was given."""
    check_effect_on_source(recipe, stated, "mnist", "dataset")
    check_effect(recipe, stated)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"size": 14}, "`pictures.size` is for images of your own, and mnist is not: leave it out."),
        ({"drop_leaks": True}, "`pictures.drop_leaks=True` is for images of your own"),
        ({"fraction": 0.2, "split": "none"}, "`split.fraction` has no effect with `split.method='none'`"),
        ({"fraction": 0.2, "split": "given"}, "has no effect with `split.method='given'`"),
        ({"stratify": True, "split": "last"}, "`split.stratify` has no effect with `split.method='last'`"),
        ({"test_fraction": 0.2, "split": "test"}, "`split.test_fraction` holds out test images, and `split.method='te"),
        ({"patience": 3, "early_stopping": False}, "`training.patience` has no effect with `training.early_stopping=F"),
        ({"patience": 3, "split": "none"}, "`training.patience` needs validation data"),
        ({"early_stopping": True, "split": "none"}, "`training.early_stopping` needs validation data"),
        ({"keep": "best", "split": "none"}, "`training.keep` needs validation data"),
        ({"precision": "bfloat16", "engine": "keras"}, "`training.precision` has no effect"),
        ({"freeze": True}, "`model.freeze` needs trained weights"),
    ],
)
def test_what_can_have_no_effect_is_refused(options: dict[str, Any], sentence: str):
    """It is refused where the call states it, by its option or as a setting, and taken where a file holds it."""
    recipe = Recipe().with_options(options)
    with pytest.raises(UsageError) as caught:
        check_all(recipe, stated_keys(options, {}))
    assert sentence in str(caught.value)
    assert str(caught.value).endswith(".")
    check_all(recipe, stated_keys({}, {}))


@pytest.mark.parametrize(
    "options",
    [
        {"fraction": 0.2},
        {"fraction": 0.2, "split": "last"},
        {"stratify": True},
        {"stratify": False, "split": "last"},
        {"stratify": True, "split": "last", "test_fraction": 0.2},
        {"test_fraction": 0.2, "split": "none"},
        {"early_stopping": False, "split": "none"},
        {"keep": "last", "split": "none"},
        {"patience": 3},
        {"precision": "float32", "engine": "keras"},
        {"freeze": False},
        {"freeze": True, "start": "runs/a"},
    ],
)
def test_what_has_an_effect_or_says_what_is_so_anyway_is_taken(options: dict[str, Any]):
    """So is what asks for nothing but the way it is."""
    check_all(Recipe().with_options(options), stated_keys(options, {}))


@pytest.mark.parametrize(
    ("kind", "refused", "sentence"),
    [
        ("folder", {"image_column", "label_column", "split_column"}, "has no effect on mine, which holds image files"),
        ("table", set(), ""),
        ("arrays", {"size", "resize", "color", "max_bytes", "max_pixels", "split_column"}, "which holds arrays: leave"),
        (
            "pixel table",
            {"size", "resize", "color", "max_bytes", "max_pixels", "image_column", "split_column"},
            "which holds a table of pixels",
        ),
        (
            "IDX files",
            {"size", "resize", "color", "max_bytes", "max_pixels", "image_column", "label_column", "split_column"},
            "which holds IDX files",
        ),
    ],
)
def test_what_a_source_leaves_nothing_to_choose_is_refused(kind: SourceKind, refused: set[str], sentence: str):
    """Columns are a table's, and sizes are those of files that are decoded."""
    for name, _ in Recipe().pictures:
        with pytest.raises(UsageError, match=sentence) if name in refused else nullcontext():
            check_effect_on_source(Recipe(), {f"pictures.{name}"}, "mine", kind)


def test_settings_count_as_stated():
    """`--set`, and nested values, are stated as options are; None states nothing."""
    stated = stated_keys({"epochs": 3, "patience": None}, {"split.seed": 1, "pictures": {"size": [8, 8]}})
    assert stated == {"training.epochs", "split.seed", "pictures.size"}
    with pytest.raises(UsageError, match=r"`split\.seed` has no effect with `split\.method='test'`"):
        check_effect(Recipe().with_settings({"split.seed": 1, "split.method": "test"}), {"split.seed"})


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_that_come_with_eyespot_take_any_default(name: str):
    """What their files state is not looked at."""
    check_all(Recipe.read(name), set())
