import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from eyespot.cli.flags import CALL, SETTING, SpeakingConsole, flag_for, flags_of, with_flags
from eyespot.cli.verbs import VERBS, Verbs
from eyespot.errors import UsageError
from tests.conftest import Answer

ROOT = Path(__file__).parent.parent.parent / "eyespot"
FILES = [path for path in sorted(ROOT.rglob("*.py")) if path.relative_to(ROOT).parts[0] != "cli"]
# They make flags, or name a server's flags to its clients, who know no other name of a limit.
FLAGS_THEMSELVES = {
    "recipe/options.py",
    "recipe/data_recipe.py",
    "recipe/schema.py",
    "serving/limits.py",
    "serving/schemas.py",
}
FLAG = re.compile(r"(^|[^-\w])--[a-z]")
COMMANDS = {verb: Verbs.load(verb) for verb in VERBS}
# In backticks, and no flags: names of verbs and of what files hold, and what a program alone sets.
NO_SETTINGS = {"verbose", "probabilities", "predict", "change", "layer", "layers", "detail", "option", "picture"}
UNKNOWN = "ANY"  # stands for what is put in while it runs


def context_of(verb: str) -> SimpleNamespace:
    """What Typer has while a verb runs, as far as sentences go."""
    return SimpleNamespace(command=COMMANDS[verb], parent=SimpleNamespace(command=Verbs()))


def strings_in(file: Path) -> Iterator[str]:
    """Every string in a file, docstrings too, with `UNKNOWN` for what is put in while it runs."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else UNKNOWN for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            yield node.value


def docstrings_in(file: Path) -> set[str]:
    """The docstrings of a file, as they stand."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    return {ast.get_docstring(node, clean=False) or "" for node in ast.walk(tree) if isinstance(node, documented)}


def settings_in(file: Path) -> set[tuple[str | None, str]]:
    """The settings that sentences of a file name: a verb, where a call of it is meant, and the name."""
    docstrings = docstrings_in(file)
    sentences = [text for text in strings_in(file) if text not in docstrings]
    found: set[tuple[str | None, str]] = {
        (None, match["name"]) for text in sentences for match in SETTING.finditer(text)
    }
    for call in (match for text in sentences for match in CALL.finditer(text)):
        found |= {(call["verb"], name) for name in re.findall(r"(\w+)=", call["arguments"])}
    return {(verb, name) for verb, name in found if UNKNOWN not in name and name not in NO_SETTINGS}


NAMED = [(file, verb, name) for file in FILES for verb, name in sorted(settings_in(file), key=str)]


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_sentence_below_the_command_line_names_a_flag(file: Path):
    """Packages below it name settings; a notebook's user knows no flags."""
    flags = [text for text in strings_in(file) if FLAG.search(text)]
    assert flags == [] or str(file.relative_to(ROOT)) in FLAGS_THEMSELVES


@pytest.mark.parametrize(
    ("file", "verb", "name"), NAMED, ids=[f"{file.relative_to(ROOT)}-{name}" for file, _, name in NAMED]
)
def test_each_setting_that_a_sentence_names_is_a_flag_of_the_verb(file: Path, verb: str | None, name: str):
    """A setting that a sentence names has a flag: in a verb's own file one of that verb, elsewhere one of any verb."""
    own = file.stem if file.parent.name == "workflow" and file.stem in VERBS else None
    verbs = [verb or own] if verb or own else list(VERBS)
    flags = {
        other: flag_for(COMMANDS[other].params, name) or flag_for(COMMANDS[other].params, name, value=False)
        for other in verbs
        if other
    }
    assert any(flags.values())
    for other, flag in flags.items():
        known = {
            option for parameter in COMMANDS[other].params for option in (*parameter.opts, *parameter.secondary_opts)
        }
        assert flag is None or flag.partition(" ")[0] in known


def test_sentences_name_many_settings():
    """The test above has something to look at."""
    assert len(NAMED) > 40


@pytest.mark.parametrize(
    ("verb", "sentence", "expected"),
    [
        ("train", "Choose another `output`.", "Choose another --output."),
        ("train", "Set `pictures.size`, or `model.from`.", "Set --size, or --from."),
        ("train", "Use `split.method='fraction'`.", "Use --split fraction."),
        ("train", "Use `split.stratify=False`.", "Use --no-stratify."),
        ("train", "Use `pictures.color=False` or `pictures.color=True`.", "Use --grey or --color."),
        ("train", "Use `augmentation.mixup=0.2`.", "Use --set augmentation.mixup=0.2."),
        ("tune", "Use `split.method='fraction'`.", "Use --set split.method=fraction."),
        ("tune", "It needs 9 seconds (`seconds`).", "It needs 9 seconds (--time)."),
        ("study", "State `grid` or `changes`, `repeats=5`.", "State --vary or --change, --repeats 5."),
        ("serve", "`limits.pixels` and `limits.corrections`", "--max-pixels and --max-corrections"),
        ("serve", "`take_corrections=False`", "--no-corrections"),
        ("evaluate", "Go on: `train(resume='my runs/a')`", "Go on: eyespot train --resume 'my runs/a'"),
        ("train", "`train(resume='a', epochs=9)`", "eyespot train --resume a --epochs 9"),
        ("train", "`train(resume='a', shape=9)`", "`train(resume='a', shape=9)`"),
        ("look", "`pictures.drop_leaks=True` leaves them out.", "eyespot train --drop-leaks leaves them out."),
        ("look", "Set `pictures.size` or `output`.", "Set --size or --output."),
        ("evaluate", "Set `output`, or `limits.pixels`.", "Set `output`, or `limits.pixels`."),
        ("train", "Odd: `f(x)`, `size=`, `output=a b`, ` `.", "Odd: `f(x)`, `size=`, `output=a b`, ` `."),
    ],
)  # fmt: skip
def test_settings_become_flags_of_the_verb_that_runs(verb: str, sentence: str, expected: str):
    """With their values, quoted for a shell; what the verb has no flag for stays as it is."""
    with flags_of(context_of(verb)):
        assert with_flags(sentence) == expected
    assert with_flags(sentence) == sentence


def test_errors_and_what_is_printed_name_flags(capsys: pytest.CaptureFixture[str]):
    """An error on its way out, and a sentence on a console; outside a command both stay."""
    with flags_of(context_of("train")):
        SpeakingConsole().print("Use `output`.", 3)
        Console().print("Use `output`.")
    SpeakingConsole().print("Use `output`.")
    with pytest.raises(UsageError, match=r"^Use --output\.$"), flags_of(context_of("train")):
        raise UsageError("Use `output`.")
    assert capsys.readouterr().out == "Use --output. 3\nUse `output`.\nUse `output`.\n"


def test_a_command_says_flags(eyespot: Callable[..., Answer], here: Path):
    """From a package below to the user's terminal, in errors and in notes."""
    (here / "taken").mkdir()
    assert "choose another --output" in eyespot("train", "--output", "taken").err
    assert "use --set split.method=fraction" in eyespot("tune", "--set", "split.method=none").err
    (here / "half").mkdir()
    (here / "half" / "recipe.yaml").write_text("dataset: digits\n")
    assert "Continue it with: eyespot train --resume half" in eyespot("evaluate", "half").err
