"""eyespot explain"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import eyespot
from eyespot.cli.tables import JsonOption, console, print_json, print_table, table
from eyespot.errors import PictureError
from eyespot.output import printing_to

if TYPE_CHECKING:
    from eyespot.workflow.explain import ExplainedPicture

COLUMNS = ("file", "predict", "probability", "explained", "logit", "nearest")


def explain(
    run: Annotated[Path, typer.Argument(help="Directory of a run.")],
    pictures: Annotated[list[str], typer.Argument(help="Images, folders of images, or - for standard input.")],
    class_name: Annotated[
        str | None, typer.Option("--class", help="Class to explain. Default: the most probable one.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="Method: gradcam, hirescam, occlusion, integrated-gradients, features, filters or similar. "
            "Repeatable. Default: all."
        ),
    ] = None,
    on: Annotated[
        str | None,
        typer.Option(help="Dataset in which to look for similar images. Default: the run's own training data."),
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Only resize images, without looking for the object in them.")
    ] = False,
    save: Annotated[bool, typer.Option("--save", help="Write the maps as arrays, too (arrays.npz).")] = False,
    output: Annotated[
        Path | None,
        typer.Option(help="Directory for the figures. Default: RUN/explanations.", rich_help_panel="Output"),
    ] = None,
    trust: Annotated[bool, typer.Option("--trust", help="Open a model that contains custom layers.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw which regions of an image a prediction rests on.

    The figures show attribution maps (Grad-CAM, HiResCAM, occlusion, integrated
    gradients), the feature maps of each layer, the filters of the first layer,
    and the most similar training images.

    Example: eyespot explain runs/mnist-cnn-1 seven.jpg

    Exit codes: 0 all images were explained; 1 some could not be read, and
    standard error names them.
    """
    failed: list[PictureError] = []
    out = console(as_json)
    with printing_to(console(as_json=True)):
        result = eyespot.explain(
            run,
            [sys.stdin.buffer.read() if picture == "-" else picture for picture in pictures],
            label=class_name,
            methods=method or None,
            on=on,
            as_is=as_is,
            save=save,
            output=output,
            on_error=failed.append,
            trust=trust,
        )
    if as_json:
        print_json(result.to_dict())
    elif result.pictures:
        print_table(out, table(COLUMNS, [_row(picture) for picture in result.pictures], text_columns=2))
    paths = [path for picture in result.pictures for path in (*picture.figures, picture.arrays) if path]
    for path in [*paths, *filter(None, [result.filters])] if not as_json else ():
        out.print(str(path), markup=False, highlight=False, soft_wrap=True)
    notes = [*result.notes, *(f"{picture.file}: {picture.note}" for picture in result.pictures if picture.note)]
    for note in notes:
        console(as_json=True).print(note, markup=False, highlight=False, soft_wrap=True)
    if failed:
        for error in failed[:-1]:
            console(as_json=True).print(f"eyespot: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        raise failed[-1]


def _row(picture: "ExplainedPicture") -> tuple[str, ...]:
    """A line of the table."""
    nearest = picture.nearest[0] if picture.nearest else None
    (best, share), *_ = picture.top
    neighbour = f"{nearest.label} ({nearest.similarity:.3f})" if nearest else ""
    return (picture.file, best, f"{share:.2%}", picture.label, f"{picture.found.logit:.2f}", neighbour)
