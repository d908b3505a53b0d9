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
LISTED = 10  # findings of each kind; all are in findings.csv


@recipe_options(LOOKED_AT)
def look(
    source: Annotated[
        str, typer.Argument(help="Your own images (a folder, a table, arrays), or a dataset (digits, mnist, …).")
    ] = "digits",
    output: Annotated[
        Path | None,
        typer.Option(
            help="Directory for the figures and findings.csv. Default: runs/look-<dataset>-<n>.",
            rich_help_panel="Output",
        ),
    ] = None,
    labels: Annotated[
        bool | None,
        typer.Option(
            "--labels/--no-labels",
            help="Check the labels with small networks, which takes a minute or two for 60,000 images. Default: on for "
            "your own images.",
            rich_help_panel="Data",
        ),
    ] = None,
    as_json: JsonOption = False,
    **options: Any,
) -> None:
    """Describe a dataset, draw it, and check it for duplicates, outliers and wrong labels.

    Files that cannot be read and missing or small classes are listed, too. The first ten findings of each kind are
    printed; all are in findings.csv.

    Example: eyespot look my-pictures

    Exit codes: 0 whatever was found; 1 there is no dataset to look at.
    """
    from eyespot.workflow.findings import tables_of  # brings NumPy, for which --help does not wait

    out = console(as_json)
    result = eyespot.look(source, output, labels=labels, **options)
    if as_json:
        print_json(result.to_dict())
        return
    splits = result.summary["splits"]
    columns = ("split", "images", "shape", "dtype", "range", "labels")
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
    for found in tables_of(result.audit.findings):
        out.print()
        print_table(out, table(found.columns, found.rows[:LISTED], found.title, text_columns=len(found.columns)))
        if len(found.rows) > LISTED:
            out.print(f"… and {len(found.rows) - LISTED:,} more", highlight=False)
    out.print()
    out.print(f"All findings: {result.findings_csv}", markup=False, highlight=False, soft_wrap=True)
    out.print()
    for path in result.figures:
        out.print(str(path), highlight=False, soft_wrap=True)
