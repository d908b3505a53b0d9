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
    run: Annotated[Path, typer.Argument(help="A run's directory.")],
    pictures: Annotated[list[str], typer.Argument(help="Pictures, folders of pictures, or - for standard input.")],
    class_name: Annotated[
        str | None, typer.Option("--class", help="The class to explain; by default the most probable one.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(
            help="gradcam, hirescam, occlusion, integrated-gradients, features, filters or similar; may be given "
            "several times. Default: all."
        ),
    ] = None,
    on: Annotated[
        str | None, typer.Option(help="Where to look for near pictures, if not in the run's own training pictures.")
    ] = None,
    as_is: Annotated[
        bool, typer.Option("--as-is", help="Only resize pictures; do not look for the object on them.")
    ] = False,
    save: Annotated[bool, typer.Option("--save", help="Write the maps as arrays too (arrays.npz).")] = False,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the figures; by default RUN/explanations.", rich_help_panel="Output")
    ] = None,
    trust: Annotated[
        bool, typer.Option("--trust", help="Allow classes of layers in the model that are not Keras's own.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Draw what the model looks at in pictures.

    That is: maps of what speaks for a class and against it (Grad-CAM, HiResCAM, occlusion, integrated gradients);
    feature maps of each layer; the first layer's filters; the training pictures that the model finds nearest.

    Example: eyespot explain runs/mnist-cnn-1 seven.jpg

    Pictures that cannot be read are named on standard error, the others are still explained, and the exit code is 1.
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
