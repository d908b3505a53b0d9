import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "eyespot"
# Data flows from left to right; no package imports one to its right.
ORDER = (
    "data", "models", "engine", "training", "inference", "evaluation", "explanation", "reporting", "page", "exporting",
    "serving", "studies", "workflow", "cli",
)  # fmt: skip
# Modules that any package may use.
BASE = {
    "errors",
    "seeds",
    "shapes",
    "files",
    "recipe",
    "recipe_parts",
    "recipe_files",
    "backend",
    "output",
    "environment",
}
FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_imports_point_left(file: Path):
    """A file imports only from its own package, from packages to the left of it, and from the base modules."""
    package = file.relative_to(ROOT).parts[0]
    if package not in ORDER:
        return
    allowed = set(ORDER[: ORDER.index(package) + 1]) | BASE | ({"run"} if package in {"workflow", "cli"} else set())
    assert _imported(file) <= allowed


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_a_file_is_read_in_one_sitting(file: Path):
    """No file has more than 300 lines of code."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if line.strip() and line.strip()[0] != "#"]
    assert len(lines) <= 300


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_one_door_opens_pictures(file: Path):
    """Only `data.picture` has Pillow open a file, after it has looked it through."""
    called = [
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "Image.open"
    ]
    assert not called or file.relative_to(ROOT) == Path("data/picture.py")


def _imported(file: Path) -> set[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    modules = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    modules += [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    taken = {module.split(".")[1] for module in modules if module.startswith("eyespot.")}
    if file.relative_to(ROOT).parts[0] != "cli":  # commands use the verbs as any user does
        assert not {"eyespot"} & set(modules), "the verbs of the package itself are for users"
    return taken
