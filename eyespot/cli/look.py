"""eyespot look"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.show import AsJson, console, emit, print_table, table


def look(
    source: Annotated[str, typer.Argument(help="A dataset: digits, mnist, fashion-mnist, …")] = "digits",
    output: Annotated[Path | None, typer.Option(help="Folder for the pictures; by default a new one in runs/.")] = None,
    augment: Annotated[
        str | None, typer.Option(help="Also draw what a policy does: auto, digits, objects or photos.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Describe a dataset and draw it: samples, one picture's pixel values, mean pictures, class counts.

    Example: eyespot look fashion-mnist
    """
    found = eyespot.look(source, output, augment=augment)
    if as_json:
        emit({**found.summary, "figures": [str(path) for path in found.figures]})
        return
    out = console(as_json)
    splits = found.summary["splits"]
    columns = ("split", "pictures", "shape", "dtype", "range", "labels")
    rows = [
        (name, f"{s['pictures']:,}", tuple(s["shape"]), s["dtype"], "{}-{}".format(*s["range"]), s["labels_dtype"])
        for name, s in splits.items()
    ]
    print_table(out, table(columns, rows, title=found.summary["dataset"]))
    out.print()
    names = next(iter(splits.values()))["classes"]
    rows = [(label, name, *(f"{s['classes'][name]:,}" for s in splits.values())) for label, name in enumerate(names)]
    print_table(out, table(("label", "class", *splits), rows, text_columns=2))
    out.print()
    for path in found.figures:
        out.print(str(path), highlight=False, soft_wrap=True)
