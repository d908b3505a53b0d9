"""eyespot export"""

from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.picture_options import ExamplesOption
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table


def export(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
    form: Annotated[
        str, typer.Option("--format", help="Format: onnx, onnx-int8, openvino, litert, keras or web.")
    ] = "onnx",
    output: Annotated[
        Path | None,
        typer.Option(help="Directory of the export. Default: RUN/exports/FORMAT.", rich_help_panel="Output"),
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="Dataset on which to verify the export. Default: the run's own validation data.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Largest loss of accuracy, from 0 to 1; an export that loses more is refused.")
    ] = 0.005,
    examples: ExamplesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Export a run's model to another format, and verify its predictions.

    Example: eyespot export runs/mnist-cnn-1 --format onnx-int8

    The directory holds the model, metadata.json (class names, input shape,
    calibration) and model-card.md. The predictions of the export and of the
    run's own model are compared on validation images before it is written.
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
        ("images compared", f"{verification.pictures:,} {result.on}"),
        ("same prediction", f"{verification.agreement:.2%}"),
        ("largest difference in probability", f"{verification.largest_difference:.1e}"),
        ("accuracy of the run", f"{verification.accuracy_before:.2%}"),
        ("accuracy of the export", f"{verification.accuracy:.2%}"),
    )
    print_table(out, table(("compared with the run", ""), rows))
    for line in (*result.notes, f"Export: {result.folder}"):
        out.print(line, markup=False, highlight=False, soft_wrap=True)
