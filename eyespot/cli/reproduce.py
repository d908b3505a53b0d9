"""eyespot reproduce"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def reproduce(
    names: Annotated[list[str] | None, typer.Argument(help="Names of recipes. Default: all experiments.")] = None,
    repeats: Annotated[
        int, typer.Option(min=1, help="Number of trainings of each experiment, each with its own seed.")
    ] = 1,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE: a setting of every recipe, such as training.epochs=1. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory of the results. Default: studies/reproduce.", rich_help_panel="Output"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Repeat the tutorials' experiments, and compare the results with the published figures.

    Example: eyespot reproduce fashion-cnn fashion-cnn-dropout --repeats 3

    Finished trainings are kept: after an interruption, the same command
    continues.
    """
    from eyespot.recipe.changes import parse_setting
    from eyespot.studies.pages import figure_row, judgement_reasons

    out = console(as_json)
    changed_settings = dict(parse_setting(text) for text in settings or ())
    result = eyespot.reproduce(names, repeats, output, settings=changed_settings)
    if as_json:
        print_json(result.to_dict())
        return
    rows = [
        (experiment.name, *figure_row(judged))
        for experiment in result.experiments
        for judged in experiment.figures
        if judged.is_shown
    ]
    columns = ("experiment", "figure", "published", "ours", "range", "judgement")
    print_table(out, table(columns, rows, text_columns=2))
    for experiment in result.experiments:
        for line in (
            *judgement_reasons(experiment.name, experiment.figures),
            *(f"{experiment.name}: {note}" for note in experiment.notes),
        ):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(f"Pages and figures: {result.path}/README.md", markup=False, highlight=False, soft_wrap=True)
