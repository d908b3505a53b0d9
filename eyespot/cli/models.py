"""eyespot models"""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eyespot.cli.tables import JsonOption, console, print_json, print_table, table
from eyespot.errors import ModelError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_INPUT = "28x28x1"
COLUMNS = ("model", "parameters", "multiply-adds")


def models(
    name: Annotated[
        str | None, typer.Argument(help="Architecture or backbone whose layers are listed. Default: tables of all.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(
            "--input",
            help="Height x width x channels of the images. Default: 28x28x1; of a backbone, what it was trained on.",
        ),
    ] = None,
    classes: Annotated[int, typer.Option(min=2, help="Number of classes.")] = 10,
    as_json: JsonOption = False,
) -> None:
    """List architectures and pretrained backbones with their parameters and multiply-adds.

    Example: eyespot models fashion-cnn --input 32x32x3 --classes 100
    """
    from eyespot.models.architectures import ARCHITECTURES, build
    from eyespot.models.backbones.pretrained import BACKBONES, build_on_backbone, own_shape
    from eyespot.models.cost import multiply_adds, summary_text

    shape = _shape(size) if size else None
    rows: list[dict[str, Any]] = []
    too_small = []
    for key in [name] if name else [*ARCHITECTURES, *BACKBONES]:
        backbone = BACKBONES.get(key)
        try:
            model = (
                build_on_backbone(key, shape or own_shape(key), classes, weights=False)
                if backbone
                else build(key, shape or _shape(DEFAULT_INPUT), classes)
            )
        except ModelError:
            if name:
                raise
            too_small.append(key)
            continue
        row = {"name": key, "parameters": model.count_params(), "multiply_adds": multiply_adds(model)}
        if backbone:
            path = backbone.weights_path()
            row |= {
                "input": "x".join(map(str, model.input_shape[1:])),
                "licence": backbone.licence,
                "source": backbone.source,
                "weights": str(path) if path else None,
            }
        rows.append(row)
        if name and not as_json:
            console(as_json).print(summary_text(model), markup=False, highlight=False)
    if as_json:
        print_json(rows)
    else:
        _print_tables(console(as_json), rows, size or DEFAULT_INPUT, classes)
        if too_small:
            console(as_json).print(f"Too small for: {', '.join(too_small)}.", highlight=False)


def _shape(size: str) -> tuple[int, ...]:
    if not (match := re.fullmatch(r"(\d+)x(\d+)x([13])", size)):
        raise UsageError(f"--input must be height x width x channels (1 or 3), such as 28x28x1; received {size!r}.")
    return tuple(int(length) for length in match.groups())


def _print_tables(out: "Console", rows: list[dict[str, Any]], size: str, classes: int) -> None:
    """The architectures, and the backbones with where their weights come from."""
    figures = [(row["name"], f"{row['parameters']:,}", f"{row['multiply_adds']:,}") for row in rows]
    both = list(zip(rows, figures, strict=True))
    if architectures := [cells for row, cells in both if "source" not in row]:
        print_table(out, table(COLUMNS, architectures, title=f"for images of {size}, {classes} classes"))
    backbones = [
        (cell[0], row["source"], row["licence"], "yes" if row["weights"] else "no", row["input"], *cell[1:])
        for row, cell in both
        if "source" in row
    ]
    if backbones:
        if architectures:
            out.print()
        columns = ("model", "weights from", "licence", "on this machine", "images", *COLUMNS[1:])
        print_table(out, table(columns, backbones, title=f"pretrained on ImageNet, {classes} classes", text_columns=4))
