"""eyespot reproduce"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def reproduce(
    names: Annotated[list[str] | None, typer.Argument(help="Experiments, by recipe name; by default all.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each; they differ in the seed.")] = 1,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Any key of the recipes, such as training.epochs=1; repeatable.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="The study's directory. Default: studies/reproduce.", rich_help_panel="Output")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run the tutorials' experiments, and set what they give beside what is printed.

    Example: eyespot reproduce fashion-cnn fashion-cnn-dropout --repeats 3

    What an earlier call finished is kept, so the same command goes on after
    an interruption.
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
    out.print(f"Pages and pictures: {result.path}/README.md", markup=False, highlight=False, soft_wrap=True)
