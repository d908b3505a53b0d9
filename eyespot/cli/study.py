"""eyespot study"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def study(
    source: Annotated[
        str | None,
        typer.Argument(help="A dataset, a recipe's name or file, or a study's file. Default: digits."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(
            "--vary", help="KEY=VALUE,VALUE: values that a key of the recipe takes; several are all combined."
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--change", help="'NAME: KEY=VALUE; KEY=VALUE': one change against the base; repeatable."),
    ] = None,
    repeats: Annotated[int | None, typer.Option(min=1, help="Trainings of each; seeds differ. Default: 3.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A key to change in all of them, the base too; repeatable.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The study's directory. Default: studies/<name>.", rich_help_panel="Output")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a recipe and stated changes of it several times, and say what made a difference.

    Example: eyespot study digits --change "no dropout: model.dropout=0" --vary training.batch_size=32,512 --repeats 5

    A study's file holds the same: base, set, changes (a list of name and
    set), grid (a list of values a key), repeats. What an earlier call
    finished is kept, so the same command goes on after an interruption.
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
    for line in (*result.sentences, *result.notes, f"Page and picture: {result.path}/README.md"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
