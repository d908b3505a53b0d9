"""Run the blocks of a document, and paste what they print below them.

    python docs/paste.py README.md README.zh-CN.md
    python docs/paste.py --check README.md README.zh-CN.md

In a `console` block each line that begins with `$ ` is a command. A `python` block is run where a `text` block follows
it. All blocks of a document run in order, in one empty folder. `last=5` behind the name of the language keeps the last
five lines. Lines are folded as in a terminal of 100 columns.

What is pasted is what was printed. `--check` writes nothing, and fails where something else than numbers differs: run
times, accuracies and the places of folds depend on the machine.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).parent.parent
COLUMNS = 100
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)*(e[+-]?\d+)?")
Run = Callable[[str], str]


@dataclass(frozen=True)
class Block:
    """A fenced block of a document.

    Attributes:
        language: the first word behind the fence; empty where there is none.
        options: the other words.
        text: what is in it.
        first: the line of its first line in the document, from 0.
    """

    language: str
    options: tuple[str, ...]
    text: str
    first: int

    @property
    def lines(self) -> list[str]:
        """Lines of its text."""
        return self.text.splitlines()


def blocks(document: str) -> list[Block]:
    """Return the fenced blocks of a document, in order."""
    found = []
    for token in MarkdownIt().parse(document):
        if token.type == "fence" and token.map:
            language, *options = token.info.split() or [""]
            found.append(Block(language, tuple(options), token.content, token.map[0] + 1))
    return found


def pasted(document: str, run: Run) -> str:
    """Return the document with what its blocks print.

    Args:
        document: Markdown.
        run: gives what a command of a shell prints.
    """
    found, lines = blocks(document), document.splitlines()
    written = {}
    for block, following in zip(found, [*found[1:], None], strict=True):
        if block.language == "console":
            written[block] = list(_session(block, run))
        elif block.language == "python" and following and following.language == "text":
            Path("block.py").write_text(block.text, encoding="utf-8")
            written[following] = _printed(run("python block.py"), following)
            Path("block.py").unlink()
    for block in reversed(written):
        lines[block.first : block.first + len(block.lines)] = written[block]
    return "\n".join(lines) + "\n"


def in_an_empty_folder(document: str) -> str:
    """Return the document with what its blocks print, run by a shell in an empty folder."""
    home = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            return pasted(document, _shell)
        finally:
            os.chdir(home)


def same(one: str, other: str) -> bool:
    """Whether two documents differ in numbers and in where lines are folded, if at all."""
    return _words(one) == _words(other)


def main() -> int:
    """Paste into the documents that are named, or compare with them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("documents", nargs="+", type=Path)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 where more than numbers differ"
    )
    arguments = parser.parse_args()
    old = []
    for path in arguments.documents:
        document = path.read_text(encoding="utf-8")
        made = in_an_empty_folder(document)
        if not arguments.check:
            path.write_text(made, encoding="utf-8")
        elif not same(document, made):
            old.append(str(path))
    if old:
        print(f"Blocks print something else now, in {', '.join(old)}: run `make docs`.", file=sys.stderr)
    return bool(old)


def _session(block: Block, run: Run) -> Iterator[str]:
    commands = [line for line in block.lines if line.startswith("$ ")]
    for number, command in enumerate(commands):
        if number:
            yield ""
        yield command
        yield from _printed(run(command.removeprefix("$ ")), block)


def _printed(output: str, block: Block) -> list[str]:
    """The lines to paste: the last ones, folded, without empty lines at both ends."""
    lines = [line.rstrip() for line in output.strip("\n").splitlines()]
    for option in block.options:
        if option.startswith("last="):
            lines = lines[-int(option.removeprefix("last=")) :]
    return [part for line in lines for part in textwrap.wrap(line, COLUMNS, drop_whitespace=True) or [""]]


def _shell(command: str) -> str:
    """What a command prints on both of its streams, in the environment of this process.

    Raises:
        SystemExit: it fails.
    """
    environment = {
        **os.environ,
        "COLUMNS": str(COLUMNS),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": str(ROOT),
    }
    done = subprocess.run(  # noqa: S602 - our own documents
        command, shell=True, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{command}\n{done.stdout}\nexit code {done.returncode}")
    return done.stdout


def _words(document: str) -> list[str]:
    return NUMBER.sub("0", document).split()


if __name__ == "__main__":
    sys.exit(main())
