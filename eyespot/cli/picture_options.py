"""Options about a user's own pictures, the same wherever they are named: how they are read, and who may see them."""

from typing import Annotated

import typer

PANEL = "Own pictures"

Size = Annotated[
    str | None, typer.Option(help="28, or height x width as 28x32. Default: the commonest.", rich_help_panel=PANEL)
]
Resize = Annotated[
    str | None, typer.Option(help="pad, crop or squash, to bring all to one size. Default: pad.", rich_help_panel=PANEL)
]
Color = Annotated[
    bool | None, typer.Option("--color/--grey", help="Default: grey where all pictures are.", rich_help_panel=PANEL)
]
ClassNames = Annotated[
    str | None,
    typer.Option(
        help="A file that says what each folder or label is called (.yaml, .json, .csv).", rich_help_panel=PANEL
    ),
]
ImageColumn = Annotated[
    str | None, typer.Option(help="Of a table or .npz file, if its name does not tell.", rich_help_panel=PANEL)
]
LabelColumn = Annotated[str | None, typer.Option(help="Likewise.", rich_help_panel=PANEL)]
SplitColumn = Annotated[str | None, typer.Option(help="Likewise.", rich_help_panel=PANEL)]
MaxBytes = Annotated[
    int | None, typer.Option(help="Larger files are left out. Default: 100,000,000.", rich_help_panel=PANEL)
]
MaxPixels = Annotated[
    int | None, typer.Option(help="Pictures with more are left out. Default: 64,000,000.", rich_help_panel=PANEL)
]
DropLeaks = Annotated[
    bool | None,
    typer.Option(
        "--drop-leaks",
        help="Leave out training pictures that are validation or test pictures too.",
        rich_help_panel=PANEL,
    ),
]
Examples = Annotated[
    bool | None,
    typer.Option(
        "--examples/--no-examples",
        help="Publish test pictures with their labels: everybody who can open the page sees them. Default: those of a "
        "public dataset; never your own.",
    ),
]
