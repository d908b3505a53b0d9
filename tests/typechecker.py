"""What checks types at every call while tests run.

Jaxtyping binds the names in shapes over all arguments of a call, which takes some twenty times as long as Beartype's
check alone: it checks the modules that name shapes, and Beartype all others.
"""

from pathlib import Path

from beartype import BeartypeConf, beartype
from beartype.claw import beartype_package
from jaxtyping import install_import_hook

CONF = BeartypeConf(
    is_pep484_tower=True,  # as Python's type system means it: an int is a float
    violation_type=TypeError,  # as jaxtyping's is
    claw_is_pep526=False,  # mypy has looked at variables
)
check = beartype(conf=CONF)
# Jaxtyping passes over names that are imported for type checkers alone, which Beartype wants to find; and what Beartype
# wraps, a web server does not know to be asynchronous.
FOR_JAXTYPING = ("eyespot.shapes", "if TYPE_CHECKING", "async def")


def check_types_of(package: Path) -> None:
    """Checks the modules of a package that are imported from now on."""
    modules = {path: path.relative_to(package.parent).with_suffix("").parts for path in package.rglob("*.py")}
    sources = {".".join(name): path.read_text(encoding="utf-8") for path, name in modules.items()}
    beartype_package(package.name, conf=CONF)
    install_import_hook(
        [name for name, source in sources.items() if any(word in source for word in FOR_JAXTYPING)],
        f"{__name__}.check",
    )
