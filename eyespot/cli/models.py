"""eyespot models"""

import re
from typing import Annotated

import typer

from eyespot.cli.tables import JsonOption, console, print_json, print_table, table
from eyespot.errors import ModelError, UsageError


def models(
    name: Annotated[
        str | None, typer.Argument(help="Architecture whose layers are listed. Default: a table of all.")
    ] = None,
    size: Annotated[str, typer.Option("--input", help="Height x width x channels of the images.")] = "28x28x1",
    classes: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """List the architectures with their parameters and multiply-adds.

    Example: eyespot models fashion-cnn --input 32x32x3 --classes 100
    """
    from eyespot.models.architectures import ARCHITECTURES, build
    from eyespot.models.cost import multiply_adds, summary_text

    if not (match := re.fullmatch(r"(\d+)x(\d+)x([13])", size)):
        raise UsageError(f"--input must be height x width x channels (1 or 3), such as 28x28x1; received {size!r}.")
    shape = tuple(int(length) for length in match.groups())
    built = {}
    for key in [name] if name else ARCHITECTURES:
        try:
            built[key] = build(key, shape, classes)
        except ModelError:
            if name:
                raise
    costs = [(key, model.count_params(), multiply_adds(model)) for key, model in built.items()]
    if as_json:
        print_json([{"name": key, "parameters": parameters, "multiply_adds": work} for key, parameters, work in costs])
        return
    out = console(as_json)
    if name:
        out.print(summary_text(built[name]), markup=False, highlight=False)
    rows = [(key, f"{parameters:,}", f"{work:,}") for key, parameters, work in costs]
    print_table(
        out, table(("model", "parameters", "multiply-adds"), rows, title=f"for images of {size}, {classes} classes")
    )
    if missing := [key for key in ARCHITECTURES if not name and key not in built]:
        out.print(f"Too small for: {', '.join(missing)}.", highlight=False)
