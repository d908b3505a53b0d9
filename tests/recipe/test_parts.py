import re
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from eyespot.errors import RecipeError
from eyespot.recipe.parts import EXPECTED, RecipePart, parse_part
from eyespot.recipe.schema import Recipe
from eyespot.studies.plan import StudyPlan
from eyespot.studies.space import Range

BAD: tuple[Any, ...] = (
    None, True, -1, 0, 0.5, 1.5, 3, 10**400, float("nan"), float("inf"), "", "x", "1e9", "1" * 5_000, b"\xff", [], [1],
    [0, 0, 0], ["x", "y"], {}, {"a": 1}, {1: 2}, {"a": {"b": []}}, [{}], [[]], [None], (), set(), object(), "28x0",
    "28x28x28", "0", -(2**70), 2**32, 1e300,
)  # fmt: skip
# Words of Pydantic's own, none of which belongs in a sentence for a recipe's writer.
LEAKS = re.compile(
    r"input should|value error|assertion|should have at (least|most)|validation error|pydantic|extra inputs|"
    r"not permitted|function-|literal\[|unable to|another kind|\[key\]|nonetype",
    re.IGNORECASE,
)


def settings_of(part: type[BaseModel], *parents: str) -> list[tuple[str, ...]]:
    """Every key of a part and of the parts in it, and the items of lists and dictionaries."""
    found = []
    for name, field in part.model_fields.items():
        path = (*parents, field.alias or name)
        found.append(path)
        for kind in parts_of(field.annotation):
            found += settings_of(kind, *path)
    return found


def parts_of(annotation: Any) -> list[type[BaseModel]]:
    """The parts that a field may hold; items of lists are other tests' business."""
    if get_origin(annotation) in {Union, UnionType, Annotated, Literal}:
        return [part for argument in get_args(annotation) for part in parts_of(argument)]
    return [annotation] if isinstance(annotation, type) and issubclass(annotation, BaseModel) else []


def refusal(kind: type[RecipePart], path: tuple[str, ...], value: object) -> str | None:
    """The sentence for a value; None where it is taken."""
    values: Any = value
    for key in reversed(path):
        values = {key: values} if key != "epoch" else {key: values, "source": "a book"}
    try:
        parse_part(kind, values, "my.yaml")
    except RecipeError as error:
        return str(error)
    return None


@pytest.mark.parametrize("kind", [Recipe, StudyPlan, Range])
def test_no_word_of_pydantic_is_in_a_sentence(kind: type[RecipePart]):
    """Whatever value whatever setting has, it is taken or refused in eyespot's words, which name file and setting."""
    sentences = {
        (path, str(value)): refusal(kind, path, value)
        for path in [(), *settings_of(kind)]
        for value in BAD
        if path or not isinstance(value, dict)
    }
    told = {key: sentence for key, sentence in sentences.items() if sentence}
    assert len(told) > len(BAD) * len(settings_of(kind)) / 3
    for (path, value), sentence in told.items():
        assert not LEAKS.search(sentence.partition("; received")[0]), (path, value, sentence)
        assert sentence.startswith("In my.yaml: ")
        assert sentence.endswith(("?", ".")) or "Known: " in sentence
        assert "`" not in sentence.partition("; received")[0]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"training": {"epochs": 0}}, "training.epochs must be at least 1; received 0."),
        ({"training": {"epochs": 1.5}}, "training.epochs must be a whole number; received 1.5."),
        ({"training": {"epochs": "many"}}, "training.epochs must be a whole number; received 'many'."),
        ({"training": {"learning_rate": "fast"}}, "training.learning_rate must be a number; received 'fast'."),
        ({"training": {"learning_rate": 0}}, "training.learning_rate must be above 0; received 0."),
        ({"training": {"average": 1}}, "training.average must be below 1; received 1."),
        ({"training": {"early_stopping": "x"}}, "training.early_stopping must be true or false; received 'x'."),
        ({"augmentation": {"erase": 2}}, "augmentation.erase must be at most 1; received 2."),
        ({"augmentation": {"zoom": float("nan")}}, "augmentation.zoom must be a finite number; received nan."),
        ({"model": {"name": 3}}, "model.name must be text; received 3."),
        ({"model": {"layers": "cnn"}}, "model.layers must be a list; received 'cnn'."),
        ({"model": {"layers": []}}, "model.layers must be of length 1 or more; received []."),
        ({"model": {"layers": [3]}}, "model.layers.0 must be keys and values; received 3."),
        ({"model": "cnn"}, "model must be keys and values; received 'cnn'."),
        ({"pictures": {"size": "28x0"}}, "pictures.size.1 must be at least 1; received '0'."),
        ({"pictures": {"size": [1, 2, 3]}}, "pictures.size must be of length 2 or less; received [1, 2, 3]."),
        ({"pictures": {"size": "big"}}, "pictures.size.0 must be a whole number; received 'big'."),
        ({"published": {"verdict": "good"}}, "published.source is missing."),
        ({"published": {"source": "a", "figures": {"acc": 1}}}, "published.figures.acc must be 'parameters', "),
        ({"published": {"sorce": "a", "source": "a"}}, "Did you mean 'published.source'?"),
        ({"published": {"source": "a", "history": {"loss": [1, "x"]}}}, "published.history.loss.1 must be a number; "),
    ],
)
def test_a_value_that_does_not_fit_is_said_in_plain_words(values: dict[str, Any], told: str):
    """What the setting must be, and what it is."""
    with pytest.raises(RecipeError) as caught:
        parse_part(Recipe, values, "my.yaml")
    assert told in str(caught.value)


def test_settings_of_a_call_are_in_backticks():
    """Where nothing was written in a file, the setting is named as the command line can translate it."""
    with pytest.raises(RecipeError, match=r"^`training\.epochs` must be at least 1; received 0\.$"):
        Recipe().with_options({"epochs": 0})
    with pytest.raises(RecipeError, match=r"^`training\.warmup_epochs` needs `training\.schedule='cosine'`; the sch"):
        Recipe().with_options({"warmup_epochs": 1})


def test_every_expectation_can_be_filled():
    """The words for an error's type use what Pydantic tells of it, and nothing else."""
    context = dict.fromkeys(("ge", "gt", "le", "lt", "expected", "min_length", "max_length"), 3)
    assert all(expected.format_map(context) for expected in EXPECTED.values())
