import inspect
import subprocess
import sys
from collections.abc import Callable

import pytest

from eyespot.cli.recipe_options import PANELS
from eyespot.cli.verbs import VERBS, Verbs
from eyespot.recipe.options import RecipeOption
from eyespot.recipe.schema import OPTIONS
from tests.conftest import Answer

Command = Callable[..., Answer]
TRAIN = {parameter.name: parameter for parameter in Verbs.load("train").params}
# Imports Pydantic, for the options that come from the schema of a recipe, and for `--set`.
WITH_RECIPES = ("look", "train")


@pytest.mark.parametrize("option", OPTIONS.values(), ids=lambda option: option.name)
def test_an_option_of_train_is_what_the_schema_says(option: RecipeOption):
    """Flag, opposite, panel, type, default and help of each option of a recipe come from its field."""
    parameter = TRAIN[option.name]
    assert (parameter.opts, parameter.secondary_opts) == ([option.flag], [option.negative] if option.negative else [])
    assert parameter.rich_help_panel == option.group
    assert parameter.type.name.removesuffix("ean") == option.type.__name__
    assert parameter.default is None
    assert parameter.help == option.help


def test_every_option_of_train_is_in_a_panel():
    """So are those that no recipe has, and the panels come in one order."""
    panels = [p.rich_help_panel for p in TRAIN.values() if p.param_type_name == "option"]
    assert [PANELS.index(panel) for panel in panels] == sorted(PANELS.index(panel) for panel in panels)
    assert set(panels) == set(PANELS)


@pytest.mark.parametrize("verb", VERBS)
def test_the_list_of_verbs_has_their_first_sentences(verb: str):
    """What `eyespot --help` says of a verb is how the verb's own help begins."""
    docstring = inspect.getdoc(Verbs.load(verb).callback)
    assert docstring
    assert docstring.splitlines()[0] == VERBS[verb]


@pytest.mark.parametrize("width", [80, 120])
def test_the_help_of_train_reads_well(width: int):
    """At any width no word of it is cut, and each option's default is there."""
    code = "import sys; from eyespot.cli.main import main; sys.argv = ['eyespot', 'train', '--help']; main()"
    environment = {"COLUMNS": str(width), "PYTHONPATH": ":".join(sys.path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert "…  " not in done.stdout
    assert max(map(len, done.stdout.splitlines())) == width
    words = done.stdout.replace("│", " ").split()
    for option in OPTIONS.values():
        assert option.flag in words
        assert " ".join(option.default.split()[-1:]) + "." in words


@pytest.mark.parametrize("arguments", [["--help"], *([verb, "--help"] for verb in VERBS if verb not in WITH_RECIPES)])
def test_help_imports_no_pydantic(arguments: list[str]):
    """Help of all verbs, and of each that takes no option of a recipe, needs neither Pydantic nor another verb."""
    code = (
        f"import sys; sys.argv = ['eyespot', *{arguments!r}]\nfrom eyespot.cli.main import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "print('\\n'.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert not loaded & {"pydantic", "numpy", "keras", "torch"}
    assert {verb for verb in VERBS if f"eyespot.cli.{verb}" in loaded} == set(arguments) & set(VERBS)


def test_an_unknown_verb_is_refused_with_the_nearest(eyespot: Command):
    """As before verbs were loaded one by one: exit code 2, and a suggestion."""
    answer = eyespot("trian")
    assert answer.code == 2
    assert "Did you mean 'train'" in answer.err
