"""eyespot compare"""

from pathlib import Path
from typing import Annotated, Literal

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Directories of two or more runs.")],
    output: Annotated[
        Path | None,
        typer.Option(help="Page to write. Default: compare.html in the first run.", rich_help_panel="Output"),
    ] = None,
    lang: Annotated[Literal["en", "zh"], typer.Option(help="Language of the page: English or Chinese.")] = "en",
    as_json: JsonOption = False,
) -> None:
    """Compare runs: accuracy, significance of the differences, images that they predict differently.

    Example: eyespot compare runs/mnist-cnn-1 runs/mnist-mlp-1
    """
    comparison = eyespot.compare(runs, output, lang)
    if as_json:
        print_json(comparison.to_dict())
        return
    out = console(as_json)
    rows = []
    for run in comparison.runs:
        figures = run.figures
        low, high = figures["accuracy_interval"]
        rows.append(
            (
                run.name,
                f"{figures['accuracy']:.2%}",
                f"{low:.2%} to {high:.2%}",
                f"{figures['report']['macro avg']['f1-score']:.4f}",
                f"{figures['loss']:.4f}",
                f"{figures['calibration']['ece']:.4f}",
                f"{run.metrics['parameters']:,}",
                f"{run.size / 1e6:.2f} MB",
                f"{run.speed:,.0f}" if run.speed else "",
            )
        )
    headings = ("run", "accuracy", "95 % interval", "macro F1", "loss", "ECE", "parameters", "model.onnx", "images/s")
    print_table(out, table(headings, rows, title=f"on {comparison.runs[0].figures['n']:,} {comparison.judged} images"))
    out.print()
    for pair in comparison.pairs:
        for line in (pair.sentence(), *(f"  {change}" for change in pair.differences)):
            out.print(line, markup=False, highlight=False, soft_wrap=True)
    out.print(str(comparison.page), markup=False, highlight=False, soft_wrap=True)
