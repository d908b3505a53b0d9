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
    runs: Annotated[list[Path], typer.Argument(help="Directories of runs, or of ONNX exports.")],
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every network interface.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8000,
    corrections: Annotated[
        Path | None,
        typer.Option(
            help="Directory for corrected images. Default: RUN/corrections; for an export, EXPORT-corrections."
        ),
    ] = None,
    take_corrections: Annotated[
        bool, typer.Option(" /--no-corrections", help="Accept no corrected images.", show_default=False)
    ] = True,
    examples: ExamplesOption = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            help="File with the bearer token that requests need. Default: the token in EYESPOT_TOKEN, or none.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allow_origins: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-origin",
            help="Web site whose pages may send requests, such as https://example.org. Repeatable. Default: none.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    allow_hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--allow-host",
            help="Host name, besides localhost, that requests may use, such as that of a proxy. Repeatable.",
            rich_help_panel=ACCESS,
        ),
    ] = None,
    limits_body_bytes: Annotated[
        int, typer.Option("--max-body-bytes", help="Largest request body, in bytes.", rich_help_panel=LIMITS)
    ] = DEFAULT.body_bytes,
    limits_pixels: Annotated[
        int, typer.Option("--max-pixels", help="Largest image, in pixels.", rich_help_panel=LIMITS)
    ] = DEFAULT.pixels,
    limits_pictures: Annotated[
        int, typer.Option("--max-pictures", help="Largest number of images in a request.", rich_help_panel=LIMITS)
    ] = DEFAULT.pictures,
    limits_concurrent: Annotated[
        int,
        typer.Option(
            "--max-concurrent", help="Largest number of requests processed at the same time.", rich_help_panel=LIMITS
        ),
    ] = DEFAULT.concurrent,
    limits_corrections: Annotated[
        int,
        typer.Option(
            "--max-corrections",
            help="Largest number of corrected images stored for each model.",
            rich_help_panel=LIMITS,
        ),
    ] = DEFAULT.corrections,
    limits_connections: Annotated[
        int, typer.Option("--max-connections", help="Largest number of open connections.", rich_help_panel=LIMITS)
    ] = DEFAULT.connections,
    limits_held_bytes: Annotated[
        int,
        typer.Option(
            "--max-held-bytes",
            help="Largest memory for all request bodies and responses together, in bytes.",
            rich_help_panel=LIMITS,
        ),
    ] = DEFAULT.held_bytes,
    limits_body_seconds: Annotated[
        float,
        typer.Option(
            "--body-seconds",
            help="Time limit for receiving a request, and for sending its response, in seconds.",
            rich_help_panel=LIMITS,
        ),
    ] = DEFAULT.body_seconds,
    limits_work_seconds: Annotated[
        float,
        typer.Option("--work-seconds", help="Time limit for processing a request, in seconds.", rich_help_panel=LIMITS),
    ] = DEFAULT.work_seconds,
    limits_stop_seconds: Annotated[
        float,
        typer.Option(
            "--stop-seconds",
            help="Time limit for finishing open requests when the server stops, in seconds.",
            rich_help_panel=LIMITS,
        ),
    ] = DEFAULT.stop_seconds,
    quiet: Annotated[bool, typer.Option("--quiet", help="Do not log requests.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Serve models over HTTP, with a web page for drawings and photographs.

    Example: eyespot serve runs/mnist-cnn-1

    Then open http://127.0.0.1:8000, or send an image:
    curl --data-binary @seven.png -H 'Content-Type: image/png' http://127.0.0.1:8000/v1/models/mnist-cnn-1/predict

    A model that changes on disk is reloaded within a second. Ctrl-C or SIGTERM
    stops the server after it has answered the open requests.
    """
    token = _token(token_file)
    out = console(as_json)
    if token is None and not is_loopback(host):
        text = f"Everybody who can reach {host} can use this server: restrict it with --token-file or --host 127.0.0.1."
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
