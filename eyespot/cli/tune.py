"""eyespot tune"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def tune(
    source: Annotated[
        str | None, typer.Argument(help="Your own pictures, a dataset, or a recipe's name or file. Default: digits.")
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option("--time", min=1, help="Seconds for all of it. Default: 120; without limit for --trials."),
    ] = None,
    trials: Annotated[int | None, typer.Option(min=1, help="At most so many, besides training anew.")] = None,
    space: Annotated[
        Path | None, typer.Option(help="A YAML file: keys, each with a list of values or with low, high and log.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of trainings and proposals. Default: the recipe's.")] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="A key of the recipe to change first; repeatable.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="The search's directory. Default: studies/tune-<name>.", rich_help_panel="Output"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search for a better recipe, on validation data alone, and write it as best.yaml.

    Example: eyespot tune digits --time 120

    The recipe's own settings are the first trial; at the end the best few
    and the recipe itself are trained with three fresh seeds, and the lowest
    median validation loss wins. The same command goes on with a search that
    was interrupted, and one with more time or trials searches further.
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
    for line in (result.sentence, f"{result.trials} trials, {result.pruned} cut short, {result.seconds:.0f} s."):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(f"Next: eyespot train {result.path}/best.yaml", markup=False, highlight=False, soft_wrap=True)
