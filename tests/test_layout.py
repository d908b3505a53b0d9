"""The house: which package may import which, no circles, one name for one thing, files of a readable size."""

import ast
from collections import defaultdict
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.private_names import private_names

ROOT = Path(__file__).parent.parent / "eyespot"
BENCHMARKS = ROOT.parent / "benchmarks"
# Data flows from left to right; no package imports one to its right.
ORDER = (
    "data", "preprocessing", "models", "engine", "training", "inference", "evaluation", "explanation", "figures",
    "reports", "onnx_writer", "exporting", "webapp", "serving", "studies", "workflow", "cli",
)  # fmt: skip
# Modules that any package may use.
BASE = {
    "errors", "random", "shapes", "files", "recipe", "backend", "output", "progress_bars", "notebook", "environment",
    "keras_internals", "torch_internals",
}  # fmt: skip
# The only files that touch private names of Keras and PyTorch.
INTERNALS = [ROOT / "keras_internals.py", ROOT / "torch_internals.py"]
LONGEST = 450  # lines
# A verb has a command, a function and perhaps a page, and a dataset has figures; a kernel has a file for each
# processor, and a stage.
SAME_THING = {"cli", "workflow", "reports", "figures", "data"}
SAME_KERNEL = {"engine/kernels/cpu", "engine/kernels/cuda", "engine/stages"}
FILES = sorted(ROOT.rglob("*.py"))


def _name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_imports_point_left(file: Path):
    """A file imports only from its own package, from packages to the left of it, and from the base modules."""
    package = file.relative_to(ROOT).parts[0]
    if package not in ORDER:
        return
    allowed = set(ORDER[: ORDER.index(package) + 1]) | BASE | ({"run"} if package in {"workflow", "cli"} else set())
    assert {module.split(".")[1] for module in _imported(file) if "." in module} <= allowed
    if package != "cli":  # commands use the verbs as any user does
        assert "eyespot" not in _imported(file), "the verbs of the package itself are for users"


def test_no_file_imports_itself_by_way_of_others():
    """There is no circle of imports, not even of imports inside functions."""
    modules = {_module(file) for file in FILES}
    graph = {_module(file): _imported(file) & modules - {_module(file), "eyespot"} for file in FILES}
    del graph["eyespot"]  # its public names are imported when they are asked for
    TopologicalSorter(graph).prepare()


def test_no_benchmark_imports_itself_by_way_of_others():
    """There is no circle of imports among the benchmarks either."""
    files = {file.stem: file for file in BENCHMARKS.glob("*.py")}
    assert files
    TopologicalSorter({name: _roots(file) & files.keys() for name, file in files.items()}).prepare()


def test_a_name_means_one_thing():
    """Two files have one name only where they are of one verb, or of one kernel."""
    homes = defaultdict(set)
    for file in FILES:
        if file.stem not in {"__init__", "__main__"}:
            homes[file.stem].add(str(file.parent.relative_to(ROOT)))
    doubled = {name: places for name, places in homes.items() if len(places) > 1}
    assert {name: places for name, places in doubled.items() if not places <= SAME_THING} == {
        name: places for name, places in doubled.items() if places <= SAME_KERNEL
    }


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_a_file_is_read_in_one_sitting(file: Path):
    """No file is longer than `LONGEST` lines."""
    assert len(file.read_text(encoding="utf-8").splitlines()) <= LONGEST


@pytest.mark.parametrize("file", FILES, ids=_name)
def test_one_door_opens_pictures(file: Path):
    """Only `data.picture` has Pillow open a file, after it has looked it through."""
    called = [
        node
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute) and ast.unparse(node) == "Image.open"
    ]
    assert not called or file.relative_to(ROOT) == Path("data/picture.py")


@pytest.mark.parametrize("file", [file for file in FILES if file not in INTERNALS], ids=_name)
def test_private_names_of_libraries_have_one_home(file: Path):
    """Only `keras_internals` and `torch_internals` touch a private name of Keras or PyTorch, by dot or as a string."""
    assert not private_names(file), "add a function to keras_internals or torch_internals, or find a public name"
    known = {name for internals in INTERNALS for name in private_names(internals)} - {"src"}
    tree = ast.parse(file.read_text(encoding="utf-8"))
    assert not known & {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}


def _module(file: Path) -> str:
    return ".".join(["eyespot", *file.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


def _imported(file: Path) -> set[str]:
    """Every module of eyespot that a file imports from, wherever in it."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            submodules = {name for name in names if _file(name).exists()}
            modules |= submodules or {node.module}
    return {module for module in modules if module.split(".")[0] == "eyespot"}


def _roots(file: Path) -> set[str]:
    """First parts of the names of all modules that a file imports, wherever in it."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def _file(module: str) -> Path:
    path = ROOT.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
