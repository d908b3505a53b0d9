"""eyespot train --find-lr: what is told of a suggestion."""

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from eyespot.cli.show import console, emit

if TYPE_CHECKING:  # brings PyTorch
    from eyespot.workflow._find_lr import FoundRate

REPLACED = ("--find-lr", "--json", "--output", "--learning-rate")
WITH_VALUE = ("--output", "--learning-rate")


def tell(found: "FoundRate", *, as_json: bool) -> None:
    """The command that trains with the suggestion; as JSON, everything."""
    command = training_command(sys.argv[1:], found.suggested)
    if as_json:
        emit(found.to_dict() | {"command": command})
    else:
        console(as_json).print(f"Next: {command}", markup=False, highlight=False, soft_wrap=True)


def training_command(arguments: Sequence[str], rate: float) -> str:
    """The same command line with a learning rate instead of `--find-lr`, for a shell."""
    kept, skip = [], False
    for argument in arguments:
        if not skip and argument.partition("=")[0] not in REPLACED:
            kept.append(argument)
        skip = not skip and argument in WITH_VALUE
    return shlex.join(["eyespot", *kept, "--learning-rate", f"{rate:g}"])
