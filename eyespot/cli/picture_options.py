"""The option about who may see test images, the same for `serve` and `export`."""

from typing import Annotated

import typer

ExamplesOption = Annotated[
    bool | None,
    typer.Option(
        "--examples/--no-examples",
        help="Publish some test images with their labels, to everybody who can open the page. Default: on for a public "
        "dataset, off for your own images.",
    ),
]
