"""eyespot look"""

from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

import eyespot
from eyespot.cli.recipe_options import recipe_options
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table
from eyespot.recipe.option_types import LookOptions

# How own images are read, and a policy of augmentation to draw; what has to do with training is not for looking.
LOOKED_AT = get_type_hints(LookOptions)


@recipe_options(LOOKED_AT)
def look(
    source: Annotated[
        str, typer.Argument(help="Your own pictures (a folder, a table, arrays), or a dataset: digits, mnist, …")
    ] = "digits",
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for the pictures; by default a new one in runs/.", rich_help_panel="Output"),
    ] = None,
    labels: Annotated[
        bool | None,
        typer.Option(
            "--labels/--no-labels",
            help="Check labels too, by small networks: a minute or two for 60,000 pictures. Default: of own pictures.",
            rich_help_panel="Data",
        ),
    ] = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Describe a dataset, draw it, and say what may be wrong with it.

    That is: files that cannot be read; the same picture twice, above all in
    two splits; missing and small classes; pictures that stand out; labels that
    may be wrong.

    Example: eyespot look my-pictures

    Exit codes: 0 whatever was found; 1 there is no dataset to look at.
    """
    out = console(as_json)
    result = eyespot.look(source, output, labels=labels, **options)
    if as_json:
        print_json(result.to_dict())
        return
    splits = result.summary["splits"]
    columns = ("split", "pictures", "shape", "dtype", "range", "labels")
    rows = [
        (name, f"{s['pictures']:,}", tuple(s["shape"]), s["dtype"], "{}-{}".format(*s["range"]), s["labels_dtype"])
        for name, s in splits.items()
    ]
    print_table(out, table(columns, rows, title=result.summary["dataset"]))
    out.print()
    names = next(iter(splits.values()))["classes"]
    rows = [(label, name, *(f"{s['classes'][name]:,}" for s in splits.values())) for label, name in enumerate(names)]
    print_table(out, table(("label", "class", *splits), rows, text_columns=2))
    out.print()
    for sentence in [*result.summary["notes"], *result.audit.sentences()]:
        out.print(sentence, markup=False, highlight=False, soft_wrap=True)
    out.print()
    for path in result.figures:
        out.print(str(path), highlight=False, soft_wrap=True)
