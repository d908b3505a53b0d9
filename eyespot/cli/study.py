"""eyespot study"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def study(
    source: Annotated[
        str | None,
        typer.Argument(help="Dataset, name or file of a recipe, or file of a study. Default: digits."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--vary",
            help="KEY=VALUE,VALUE: values of a setting of the recipe. Repeatable: all combinations are trained.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--change", help="'NAME: KEY=VALUE; KEY=VALUE': a variant with these settings. Repeatable."),
    ] = None,
    repeats: Annotated[
        int | None, typer.Option(min=1, help="Number of trainings of each variant, each with its own seed. Default: 3.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE: a setting of every variant and of the base. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Directory of the study. Default: studies/<name>.", rich_help_panel="Output")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a recipe and variants of it with several seeds, and test their differences.

    Example: eyespot study digits --change "no dropout: model.dropout=0" --vary training.batch_size=32,512 --repeats 5

    A study can also be a YAML file with the keys base, set, changes (a list of
    name and set), grid (for each key a list of values) and repeats. Finished
    trainings are kept: after an interruption, the same command continues.
    """
    from eyespot.recipe.changes import parse_change, parse_setting, parse_values
    from eyespot.studies.comparison import COLUMNS, table_row
    from eyespot.studies.plan import Change

    out = console(as_json)
    result = eyespot.study(
        source,
        changes=[Change.of(*parse_change(text)) for text in changes or ()],
        grid=dict(parse_values(text) for text in grid or ()),
        repeats=repeats,
        output=output,
        settings=dict(parse_setting(text) for text in settings or ()),
    )
    if as_json:
        print_json(result.to_dict())
        return
    print_table(out, table(COLUMNS, map(table_row, result.rows)))
    for line in (*result.sentences, *result.notes, f"Page and figure: {result.path}/README.md"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
