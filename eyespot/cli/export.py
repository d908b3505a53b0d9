"""eyespot export"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.picture_options import ExamplesOption
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def export(
    run: Annotated[Path, typer.Argument(help="A run's directory.")],
    form: Annotated[str, typer.Option("--format", help="onnx, onnx-int8, openvino, litert, keras or web.")] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(help="The folder to write; by default exports/FORMAT in the run.", rich_help_panel="Output"),
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="Pictures to compare on, where the run's own are gone: any source.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Refuse an export that loses more accuracy than this, a share.")
    ] = 0.005,
    examples: ExamplesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write a run's model in a format that other programs open, and check that it answers as the run does.

    Example: eyespot export runs/mnist-cnn-1 --format onnx-int8

    The folder holds the model, metadata.json (class names, what pictures it takes, calibration) and model-card.md.
    Before it is there, the export and the run's own model have answered the validation pictures.
    """
    result = eyespot.export(run, form, output, on=on, tolerance=tolerance, examples=examples)
    if as_json:
        print_json(result.to_dict())
        return
    out = console(as_json)
    print_table(out, table(("file", "bytes"), [(name, f"{size:,}") for name, size in result.files.items()]))
    out.print()
    verification = result.verified
    rows = (
        ("pictures compared on", f"{verification.pictures:,} {result.on}"),
        ("same answer", f"{verification.agreement:.2%}"),
        ("largest difference of a probability", f"{verification.largest_difference:.1e}"),
        ("accuracy of the run", f"{verification.accuracy_before:.2%}"),
        ("accuracy of the export", f"{verification.accuracy:.2%}"),
    )
    print_table(out, table(("compared with the run", ""), rows))
    for line in (*result.notes, f"Export: {result.folder}"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
