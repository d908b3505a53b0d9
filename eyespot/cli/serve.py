"""eyespot serve"""

import os
from pathlib import Path
from typing import Annotated

import typer

import eyespot
from eyespot.cli.picture_options import ExamplesOption
from eyespot.cli.tables import JsonOption, console, print_json
from eyespot.errors import UsageError
from eyespot.serving.limits import ServerLimits, is_loopback, is_token

DEFAULT = ServerLimits()
LIMITS, ACCESS = "Limits", "Access"


def serve(
    runs: Annotated[list[Path], typer.Argument(help="Runs, or other folders with a model.onnx by eyespot.")],
    host: Annotated[str, typer.Option(help="The address to listen on; 0.0.0.0 is every one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 8000,
    corrections: Annotated[
        Path | None,
        typer.Option(
            help="Where corrected pictures are kept. Default: RUN/corrections/; for an export, EXPORT-corrections/."
        ),
    ] = None,
    take_corrections: Annotated[
        bool, typer.Option(" /--no-corrections", help="Take no corrected pictures.", show_default=False)
    ] = True,
    examples: ExamplesOption = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="A file with the bearer token that requests must bring; or set EYESPOT_TOKEN.", rich_help_panel=ACCESS
        ),
    ] = None,
    allow_origins: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            help="Another site whose pages may ask, as https://example.org; may be repeated.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            help="Another name of the server while it listens on loopback, as behind a proxy; may be repeated.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    limits_body_bytes: Annotated[
        int, typer.Option("--max-body-bytes", help="Largest body of a request, in bytes.", rich_help_panel=LIMITS)
    ] = DEFAULT.body_bytes,
    limits_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Largest picture, in pixels.", rich_help_panel=LIMITS)
    ] = DEFAULT.pixels,
    limits_pictures: Annotated[
        int, typer.Option("--max-pictures", help="Most pictures in one request.", rich_help_panel=LIMITS)
    ] = DEFAULT.pictures,
    limits_concurrent: Annotated[
        int, typer.Option("--max-concurrent", help="Most requests worked on at the same time.", rich_help_panel=LIMITS)
    ] = DEFAULT.concurrent,
    limits_corrections: Annotated[
        int,
        typer.Option("--max-corrections", help="Most corrected pictures kept for each model.", rich_help_panel=LIMITS),
    ] = DEFAULT.corrections,
    limits_connections: Annotated[
        int, typer.Option("--max-connections", help="Most connections open at the same time.", rich_help_panel=LIMITS)
    ] = DEFAULT.connections,
    limits_held_bytes: Annotated[
        int,
        typer.Option(
            "--max-held-bytes", help="Most bytes of all bodies and waiting answers in memory.", rich_help_panel=LIMITS
        ),
    ] = DEFAULT.held_bytes,
    limits_body_seconds: Annotated[
        float,
        typer.Option(
            "--body-seconds",
            help="Seconds in which a request must arrive, and its answer be taken.",
            rich_help_panel=LIMITS,
        ),
    ] = DEFAULT.body_seconds,
    limits_work_seconds: Annotated[
        float,
        typer.Option("--work-seconds", help="Seconds that the work on a request may take.", rich_help_panel=LIMITS),
    ] = DEFAULT.work_seconds,
    limits_stop_seconds: Annotated[
        float, typer.Option("--stop-seconds", help="Seconds that stopping may take.", rich_help_panel=LIMITS)
    ] = DEFAULT.stop_seconds,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not log requests.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Answer over HTTP what pictures show, and on a page to draw on.

    Example: eyespot serve runs/mnist-cnn-1

    Then open http://127.0.0.1:8000, or ask:
    curl --data-binary @seven.png -H 'Content-Type: image/png' http://127.0.0.1:8000/v1/models/mnist-cnn-1/predict

    A run that is trained again is taken up within a second. Ctrl-C or SIGTERM: what was accepted is finished first.
    """
    token = _token(token_file)
    out = console(as_json)
    if token is None and not is_loopback(host):
        text = f"Whoever reaches {host} may ask this server anything: give it a --token-file, or a --host on loopback."
        console(as_json=True).print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)

    def announce(address: str, names: list[str]) -> None:
        if as_json:
            print_json({"address": address, "models": names, "pid": os.getpid()})
        else:
            out.print(f"{', '.join(names)} at {address}", markup=False, highlight=False, soft_wrap=True)

    eyespot.serve(
        list(runs),
        host,
        port,
        token=token,
        allow_origins=allow_origins or (),
        allow_hosts=allow_hosts or (),
        corrections=corrections,
        take_corrections=take_corrections,
        examples=examples,
        limits=ServerLimits(
            limits_body_bytes, limits_pixels, limits_pictures, limits_concurrent, limits_body_seconds,
            limits_work_seconds, limits_stop_seconds, limits_corrections, limits_connections, limits_held_bytes,
        ),
        quiet=quiet,
        on_ready=announce,
    )  # fmt: skip


def _token(file: Path | None) -> str | None:
    """The token from a file or the environment; None where none is set."""
    if file is None:
        token, source = os.environ.get("EYESPOT_TOKEN"), "EYESPOT_TOKEN"
        if token is None:
            return None
    else:
        try:
            token, source = file.read_text(encoding="utf-8"), str(file)
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"The token cannot be read from {file} ({error}).") from None
    token = token.strip()
    if not is_token(token):
        raise UsageError(f"{source} holds no token: expected one line of letters, digits and signs without spaces.")
    return token
