"""Which names of a Python file are private ones of another's objects."""

import ast
from pathlib import Path

DOCUMENTED = {"os._exit"}  # public in spite of the underscore


def private_names(file: str | Path) -> set[str]:
    """Return the private attributes, imports and attribute strings in a file that the file does not define itself.

    An attribute of `self`, `cls` or `super()` is the class's own; `src` is where Keras keeps everything private.
    """
    tree = ast.parse(Path(file).read_text(encoding="utf-8"))
    return {name for node in ast.walk(tree) for name in _used(node)} - _defined(tree)


def is_private(name: str) -> bool:
    """Return whether a name begins with one underscore, or is `src`."""
    return name == "src" or (name.isidentifier() and name[0] == "_" != name[1:2] and len(name) > 1)


def _used(node: ast.AST) -> set[str]:
    names: list[str] = []
    match node:
        case ast.Attribute(value=ast.Name(id="self" | "cls") | ast.Call(func=ast.Name(id="super"))):
            pass
        case ast.Attribute(attr=name) if ast.unparse(node) not in DOCUMENTED:
            names = [name]
        case ast.ImportFrom(module=str(module), level=0):
            names = [*module.split("."), *(alias.name for alias in node.names)]
        case ast.Import():
            names = [part for alias in node.names for part in alias.name.split(".")]
        case ast.Call(func=ast.Name(id=function), args=args) if function in FUNCTIONS_OF_NAMES:
            names = [arg.value for arg in args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        case ast.Assign(value=ast.Constant(value=str(name))):  # a constant for such a function
            names = [name]
    return {name for name in names if is_private(name)}


FUNCTIONS_OF_NAMES = {"getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller", "_set"}


def _defined(tree: ast.AST) -> set[str]:
    """The names that a file defines: functions, classes, variables and attributes of `self`."""
    defined = set()
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                defined.add(name)
            case ast.Name(id=name, ctx=ast.Store()):
                defined.add(name)
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                defined.add(name)
    return defined
