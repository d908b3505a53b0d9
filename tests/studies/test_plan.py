from pathlib import Path

import pytest

from eyespot.errors import RecipeError
from eyespot.recipe.changes import parse_change, parse_values
from eyespot.studies.plan import Change, folder_name, names_study, read_plan, variants_of


def test_a_grid_is_every_combination():
    """The Cartesian product, behind the base and the single changes; names say what each combination has."""
    grid = dict([parse_values("training.optimizer=adam,sgd"), parse_values("training.batch_size=32,512")])
    variants = variants_of([Change.of(*parse_change("no dropout: model.dropout=0"))], grid)
    assert [one.name for one in variants] == [
        "base",
        "no dropout",
        "optimizer=adam, batch_size=32",
        "optimizer=adam, batch_size=512",
        "optimizer=sgd, batch_size=32",
        "optimizer=sgd, batch_size=512",
    ]
    assert variants[1].settings == {"model.dropout": 0}
    assert variants[3].settings == {"training.optimizer": "adam", "training.batch_size": 512}


def test_keys_with_one_last_name_are_told_in_full():
    """Where two keys end alike, names have the whole keys."""
    (_, one) = variants_of([], {"training.seed2": [1], "split.seed2": [None]})
    assert one.name == "training.seed2=1, split.seed2=null"


@pytest.mark.parametrize(
    ("changes", "grid", "told"),
    [
        ([], {}, "nothing to compare"),
        ([], {"training.seed": [1, 2]}, "`repeats`"),
        ([], {"dataset": ["mnist"]}, "same images"),
        ([], {"training.epochs": []}, "no values"),
        ([("a b", "training.epochs"), ("a/b", "training.patience")], {}, "would both be called 'a-b'"),
        ([("base", "training.epochs")], {}, "would both be called 'base'"),
    ],
)
def test_what_is_no_study_is_told(changes: list[tuple[str, str]], grid: dict, told: str):
    """Nothing to vary, keys that cannot be varied, two variants of one name."""
    with pytest.raises(RecipeError, match=told):
        variants_of([Change.of(name, {key: 1}) for name, key in changes], grid)


def test_folder_names_are_plain():
    """Letters, digits and a few signs, never a path."""
    assert folder_name("optimizer=adam, batch_size=32") == "optimizer=adam,batch_size=32"
    assert folder_name("../../x y") == "x-y"
    assert folder_name("关掉 dropout") == "关掉-dropout"


def test_a_studys_file_is_read(tmp_path: Path):
    """Base, changes, grid and repeats; a base beside it is found from anywhere; a recipe's file is no study."""
    (tmp_path / "mine.yaml").write_text("dataset: digits\n")
    path = tmp_path / "ablation.yaml"
    path.write_text(
        "base: mine.yaml\nset: {training.epochs: 2}\nrepeats: 5\n"
        "changes: [{name: no dropout, set: {model.dropout: 0}}]\ngrid: {training.optimizer: [adam, sgd]}\n"
    )
    plan = read_plan(path)
    assert (plan.base, plan.repeats, plan.settings) == (str(tmp_path / "mine.yaml"), 5, {"training.epochs": 2})
    assert plan.changes[0].settings == {"model.dropout": 0}
    assert plan.grid == {"training.optimizer": ["adam", "sgd"]}
    assert names_study(str(path))
    assert not names_study(str(tmp_path / "mine.yaml"))
    assert not names_study("digits")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("grid: {}\nrepeat: 3\n", "Did you mean 'repeats'"),
        ("changes: [{nam: x, set: {a: 1}}]\n", r"changes\.0\.name"),
        ("changes: [{name: x, sett: {a: 1}}]\n", r"changes\.0\.set"),
        ("changes: [{name: x, set: {}}]\n", r"changes\.0\.set"),
        ("repeats: 0\n", "repeats"),
        ("grid: [1]\n", "grid"),
    ],
)
def test_a_mistake_in_a_studys_file_is_told(tmp_path: Path, text: str, told: str):
    """An unknown key is told with the nearest one, a wrong value with its place."""
    path = tmp_path / "s.yaml"
    path.write_text(text)
    with pytest.raises(RecipeError, match=told):
        read_plan(path)
