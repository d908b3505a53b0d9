"""Options about a user's own pictures, the same wherever they are named: how they are read, and who may see them."""

from typing import Annotated

import typer

PANEL = "Own pictures"

SizeOption = Annotated[
    str | None, typer.Option(help="28, or height x width as 28x32. Default: the commonest.", rich_help_panel=PANEL)
]
ResizeOption = Annotated[
    str | None, typer.Option(help="pad, crop or squash, to bring all to one size. Default: pad.", rich_help_panel=PANEL)
]
ColorOption = Annotated[
    bool | None, typer.Option("--color/--grey", help="Default: grey where all pictures are.", rich_help_panel=PANEL)
]
ClassNamesOption = Annotated[
    str | None,
    typer.Option(
        help="A file that says what each folder or label is called (.yaml, .json, .csv).", rich_help_panel=PANEL
    ),
]
ImageColumnOption = Annotated[
    str | None,
    typer.Option(help="Column of a table, or array of a .npz file, that holds the images.", rich_help_panel=PANEL),
]
LabelColumnOption = Annotated[
    str | None,
    typer.Option(help="Column of a table, or array of a .npz file, that holds the labels.", rich_help_panel=PANEL),
]
SplitColumnOption = Annotated[
    str | None, typer.Option(help="Column of a table that holds the names of the splits.", rich_help_panel=PANEL)
]
MaxBytesOption = Annotated[
    int | None, typer.Option(help="Larger files are left out. Default: 100,000,000.", rich_help_panel=PANEL)
]
MaxPixelsOption = Annotated[
    int | None, typer.Option(help="Pictures with more are left out. Default: 64,000,000.", rich_help_panel=PANEL)
]
DropLeaksOption = Annotated[
    bool | None,
    typer.Option(
        "--drop-leaks",
        help="Leave out training pictures that are validation or test pictures too.",
        rich_help_panel=PANEL,
    ),
]
ExamplesOption = Annotated[
    bool | None,
    typer.Option(
        "--examples/--no-examples",
        help="Publish test pictures with their labels: everybody who can open the page sees them. Default: those of a "
        "public dataset; never your own.",
    ),
]
