"""The option about who may see test images, the same for `serve` and `export`."""

from typing import Annotated

import typer

ExamplesOption = Annotated[
    bool | None,
    typer.Option(
        "--examples/--no-examples",
        help="Publish test pictures with their labels: everybody who can open the page sees them. Default: those of a "
        "public dataset; never your own.",
    ),
]
