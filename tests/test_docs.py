"""The documents: links lead somewhere, code runs, commands are understood, and README prints what it shows.

Blocks are known by their language. `python` is run, as is README's `console`; `sh` is parsed by the commands that it
names; `yaml` by the schemas of recipes and of studies; `text` is what something prints.
"""

import json
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from markdown_it import MarkdownIt
from PIL import Image

from docs.paste import Block, blocks, pasted, same
from eyespot.cli.main import main
from eyespot.cli.verbs import Verbs
from eyespot.data.dataset import Dataset
from eyespot.recipe.changes import parse_change, parse_setting, parse_values
from eyespot.recipe.recipe_files import recipe_names
from eyespot.recipe.schema import OPTIONS, Recipe
from eyespot.studies.plan import StudyPlan
from eyespot.workflow.export import export
from eyespot.workflow.train import train
from tests.conftest import digits_are

ROOT = Path(__file__).parent.parent
README, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"
DOCS = [README, CHINESE, *sorted((ROOT / "docs").rglob("*.md"))]
LINKING = [*DOCS, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
MOST_WORDS = 700
# Programs and languages that no test here asks, and why.
NOT_RUN = {
    "curl": "asks a server: tests/serving/test_endpoints.py sends the same requests",
    "pip": "installs from the network",
    "tensorboard": "opens a page and waits",
    "source": "belongs to the shell",
    "litert/bin/pip": "installs from the network",
    "litert/bin/eyespot": "is of another environment; the same command as eyespot",
}
NOT_PARSED = {
    "text": "is what something prints",
    "dockerfile": "Docker is not on every machine; make test-serving installs the same files",
}


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def of(path: Path, *languages: str) -> list[Block]:
    return [block for block in blocks(read(path)) if block.language in languages]


def having(*languages: str) -> Any:
    """A test of each document that has blocks in one of these languages."""
    return pytest.mark.parametrize("path", [path for path in DOCS if of(path, *languages)], ids=name)


@pytest.mark.parametrize("path", LINKING, ids=name)
def test_links_lead_somewhere(path: Path):
    """Each relative link and picture is a file, and each anchor is a heading of it."""
    for link in links(read(path)):
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        assert not anchor or anchor in anchors(read(file)), link


def links(document: str) -> Iterator[str]:
    """Relative links and pictures."""
    for token in MarkdownIt().enable("table").parse(document):
        if token.type == "html_block":
            yield from re.findall(r'(?:src|href)="([^":]+)"', token.content)
        for child in token.children or ():
            link = str(child.attrs.get("href") or child.attrs.get("src") or "")
            if link and ":" not in link:
                yield link


def anchors(document: str) -> set[str]:
    """The anchors of headings, as GitHub makes them."""
    tokens = MarkdownIt().parse(document)
    headings = [after.content for token, after in pairwise(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_document_is_in_the_index():
    """Each page of docs is linked from docs/README.md."""
    index = ROOT / "docs" / "README.md"
    linked = {(index.parent / link).resolve() for link in links(read(index))}
    assert {path for path in DOCS if path.is_relative_to(index.parent)} - {index} == linked


@pytest.mark.parametrize("path", [README, CHINESE], ids=name)
def test_the_first_page_is_short(path: Path):
    """It has at most `MOST_WORDS` words outside of code and addresses; a Chinese character pair counts as a word."""
    assert words(read(path)) <= MOST_WORDS


def words(document: str) -> int:
    text = re.sub(r"```.*?```", "", document, flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|https?://\S+|(?:src|href)=\"[^\"]*\"", "", text)
    characters = re.findall(r"[\u4e00-\u9fff]", text)
    return len(re.findall(r"[^\W\u4e00-\u9fff][^\s\u4e00-\u9fff]*", text)) + len(characters) // 2


def test_both_languages_have_the_same_blocks():
    """Code and commands of the Chinese page are those of the English one, but for comments; so is what they print."""
    comment = re.compile(r"\s+# .*")
    for english, chinese in zip(blocks(read(README)), blocks(read(CHINESE)), strict=True):
        assert (chinese.language, chinese.options) == (english.language, english.options)
        if english.language in {"text", "console"}:
            assert same(chinese.text, english.text)
        else:
            assert comment.sub("", chinese.text) == comment.sub("", english.text)


def test_the_first_page_prints_what_it_shows(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """Each of its blocks runs in an empty folder, and prints what stands below it, but for numbers: `make docs`."""

    def run(command: str) -> str:
        program, *arguments = shlex.split(command)
        assert program in {"python", "eyespot"}
        if program == "python":
            execute(read(here / arguments[0]), name(README), {})
        else:
            monkeypatch.setattr(sys, "argv", [program, *arguments])
            with pytest.raises(SystemExit, match="0"):
                main()
        return "".join(capsys.readouterr())

    monkeypatch.setenv("COLUMNS", "100")
    assert same(pasted(read(README), run), read(README)), "run `make docs`"


def test_a_session_is_pasted_below_its_command(here: Path):
    """What stood there goes; `last` keeps the last lines, and long lines are folded."""
    long = "word " * 30
    document = "# Title\n\n```console last=2\n$ eyespot look\nold\n```\n\nText.\n"
    made = pasted(document, lambda command: f"first\n{long}\n{command}\n")
    folded = f"{long[:99]}\n{long[100:149]}"
    assert made == f"# Title\n\n```console last=2\n$ eyespot look\n{folded}\neyespot look\n```\n\nText.\n"


def test_a_program_is_run_where_its_output_stands_below(here: Path):
    """A block of Python is a file that Python runs; one without output below is left alone."""
    ran = []
    document = "```python\nprint(1)\n```\n\n```text\nold\n```\n\n```python\nprint(2)\n```\n"
    made = pasted(document, lambda command: ran.append(read(here / command.split()[1])) or "new")
    assert (made, ran) == (document.replace("old", "new"), ["print(1)\n"])


def test_a_check_sees_words_and_no_numbers():
    """Figures and folds may differ; a word may not."""
    assert same("Test: accuracy 99.44%,\nloss 1.7e-02.", "Test: accuracy 98%, loss 0.0173.")
    assert not same("Test: accuracy 99.44%", "Validation: accuracy 99.44%")


def execute(code: str, place: str, names: dict[str, object]) -> None:
    exec(compile(code, place, "exec"), names)  # noqa: S102 - our own documents


@pytest.fixture(scope="module")
def workplace(fewer: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the documents name: a run, its exports, photographs, digits as files."""
    folder = tmp_path_factory.mktemp("workplace")
    with pytest.MonkeyPatch.context() as patched, digits_are(fewer):
        patched.chdir(folder)
        run = train("digits", epochs=2, output="runs/digits-cnn-1").run
        export(run, "keras")
        if find_spec("openvino"):
            export(run, "openvino")
    for number, image in enumerate(np.asarray(fewer.train.images[:, :, :, 0])):
        place = folder / "photos" / str(fewer.train.labels[number])
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")
        Image.fromarray(image).save(folder / "digit.png")
    Image.fromarray(image).save(folder / "new.jpg")
    return folder


@having("python")
def test_code_runs(path: Path, workplace: Path, few_digits: None, monkeypatch: pytest.MonkeyPatch):
    """Each block of Python runs as it stands, by itself, where there is what the documents name.

    The first pages' first one is in a test of its own, with what it prints.
    """
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    for block in of(path, "python")[path in {README, CHINESE} :]:
        if "openvino" in block.text and not find_spec("openvino"):
            continue
        execute(block.text, f"{name(path)}:{block.first}", {"__name__": "__main__"})


@having("sh", "console")
def test_commands_are_understood(path: Path):
    """Each command of eyespot has verbs, options and values that exist; make has its targets, Python its files."""
    for block in of(path, "sh", "console"):
        for line in block.lines:
            if block.language == "sh" or line.startswith("$ "):
                for command in line.removeprefix("$ ").split("&&"):
                    understand(command)


def understand(command: str) -> None:
    parts = shlex.split(command, comments=True)
    while parts and re.match(r"\w+=", parts[0]):
        del parts[0]
    if not parts:
        return
    program, *arguments = parts
    if program == "eyespot":
        understand_verb(*arguments)
    elif program == "make":
        assert re.search(rf"^{re.escape(arguments[0])}:", read(ROOT / "Makefile"), re.MULTILINE), command
    elif program.startswith("python"):
        assert arguments[0] == "-m" or (ROOT / arguments[0]).is_file(), command
    else:
        assert program in NOT_RUN, command


def understand_verb(verb: str, *arguments: str) -> None:
    """Parse a command as its verb does, and its settings as the recipe does.

    Raises:
        ClickException: there is no such option or value.
        EyespotError: there is no such setting, or it has no such value.
    """
    given = Verbs.load(verb).make_context(verb, list(arguments)).params
    source = given.get("source")
    recipe = Recipe.read(source) if source in recipe_names() else Recipe()
    if verb == "train":
        recipe = recipe.with_options({key: given[key] for key in OPTIONS if given[key] is not None})
        recipe.with_settings(dict(parse_setting(text) for text in given["settings"] or ()))
    for text in given.get("changes") or ():
        recipe.with_settings(parse_change(text)[1])
    for text in given.get("vary") or ():
        key, values = parse_values(text)
        for value in values:
            recipe.with_settings({key: value})


@having("yaml")
def test_yaml_is_a_recipe_or_a_study(path: Path, here: Path):
    """Each block of YAML is a recipe or a study with keys and values that exist."""
    for block in of(path, "yaml"):
        if {"changes", "grid"} & yaml.safe_load(block.text).keys():
            StudyPlan.model_validate(yaml.safe_load(block.text))
        else:
            (here / "it.yaml").write_text(block.text, encoding="utf-8")
            Recipe.read("it.yaml")


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_every_block_has_a_language_that_a_test_knows(path: Path):
    """A block without a language, or in one that no test reads, would grow old unseen; JSON is JSON."""
    for block in blocks(read(path)):
        assert block.language in {"python", "console", "sh", "yaml", "json"} | NOT_PARSED.keys(), block
        if block.language == "json":
            json.loads(block.text)
