"""eyespot tune"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def tune(
    source: Annotated[
        str | None, typer.Argument(help="Your own images, a dataset, or the name or file of a recipe. Default: digits.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--time", min=1, help="Time limit of the search, in seconds. Default: 120; with --trials, none."),
    ] = None,
    trials: Annotated[
        int | None, typer.Option(min=1, help="Largest number of trials. Default: as many as the time allows.")
    ] = None,
    space: Annotated[
        Path | None,
        typer.Option(
            help="YAML file with the search space: for each setting a list of values, or low, high and log. "
            "Default: a space made for the recipe."
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of the trainings and of the proposed settings. Default: the recipe's.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="KEY=VALUE: a setting of the recipe to change before the search. Repeatable."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory of the search. Default: studies/tune-<name>.", rich_help_panel="Output"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search for better settings of a recipe on validation data, and write them as best.yaml.

    Example: eyespot tune digits --time 120

    The recipe's own settings are the first trial. At the end, the best trials
    and the recipe itself are trained again with three other seeds, and the
    lowest median validation loss wins. The same command continues a search
    that was interrupted, and extends one with more time or trials.
    """
    from eyespot.recipe.changes import parse_setting
    from eyespot.studies.candidates import COLUMNS, table_row

    out = console(as_json)
    changed_settings = dict(parse_setting(text) for text in settings or ())
    result = eyespot.tune(
        source,
        seconds=seconds,
        trials=trials,
        space=space,
        seed=seed,
        output=output,
        settings=changed_settings,
    )
    if as_json:
        print_json(result.to_dict())
        return
    print_table(out, table(COLUMNS, map(table_row, result.candidates)))
    for line in (result.sentence, f"{result.trials} trials, {result.pruned} stopped early, {result.seconds:.0f} s."):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(f"Next: eyespot train {result.path}/best.yaml", markup=False, highlight=False, soft_wrap=True)
