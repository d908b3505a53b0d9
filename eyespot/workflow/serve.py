"""serve: models answer over HTTP, and on a page."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack, overload

from eyespot.errors import EyespotError, MissingExtra, UsageError
from eyespot.exporting.package import is_export
from eyespot.run import Run, RunLike
from eyespot.serving.limits import ServerLimits, is_loopback, is_token

if TYPE_CHECKING:
    from eyespot.serving.served_models import Deployment, Examples
    from eyespot.serving.server import BackgroundServer

PORT = 8000
CORRECTIONS = "corrections"  # in a run
NOT_SHOWN = "This server was started without its test images."
NEEDED = ("uvicorn", "httptools", "starlette", "prometheus_client", "python_multipart")


class _ServeOptions(TypedDict, total=False):
    """What the overloads of `serve` have in common."""

    token: str | None
    allow_origins: Sequence[str]
    allow_hosts: Sequence[str]
    corrections: str | Path | None
    take_corrections: bool
    examples: bool | None
    limits: ServerLimits | None
    quiet: bool
    on_ready: Callable[[str, list[str]], None] | None


Runs = RunLike | Sequence[RunLike]


@overload
def serve(
    runs: Runs, host: str = ..., port: int = ..., *, background: Literal[True], **options: Unpack[_ServeOptions]
) -> "BackgroundServer": ...


@overload
def serve(
    runs: Runs, host: str = ..., port: int = ..., *, background: Literal[False], **options: Unpack[_ServeOptions]
) -> None: ...


@overload
def serve(
    runs: Runs, host: str = ..., port: int = ..., *, background: bool | None = ..., **options: Unpack[_ServeOptions]
) -> "BackgroundServer | None": ...


def serve(  # noqa: PLR0913 - each is one option of the command
    runs: Runs,
    host: str = "127.0.0.1",
    port: int = PORT,
    *,
    token: str | None = None,
    allow_origins: Sequence[str] = (),
    allow_hosts: Sequence[str] = (),
    corrections: str | Path | None = None,
    take_corrections: bool = True,
    examples: bool | None = None,
    limits: ServerLimits | None = None,
    quiet: bool = False,
    on_ready: Callable[[str, list[str]], None] | None = None,
    background: bool | None = None,
) -> "BackgroundServer | None":
    """Serve models until SIGTERM or Ctrl-C, or beside the program that asks; import neither Keras nor PyTorch.

    Args:
        runs: one or several: a run, its directory, or any folder with a model.onnx by eyespot, such as an export.
        host: the address to listen on; only this machine can reach the default.
        port: 0 takes a free one.
        token: what requests must bring as a bearer token; None: nothing.
        allow_origins: other sites whose pages may ask, as https://example.org.
        allow_hosts: names that the server goes by besides localhost, where it listens on loopback only.
        corrections: where corrected pictures are kept, in a folder for each model where there are several; None:
            `corrections` in each run, and `<folder>-corrections` beside an export, which a later export replaces.
        take_corrections: False: none are taken.
        examples: whether test images are shown to all who may ask; None: those of public datasets, never own ones.
        limits: what is taken on.
        quiet: do not log requests.
        on_ready: called with the address and the models' names once requests are answered.
        background: return once requests are answered, and serve in a thread; None: where an event loop runs already,
            as in a notebook.

    Returns:
        With `background`, a server with `url` and `stop()`, which is a context manager too; else None, once it ends.

    Raises:
        RunError: there is no model at one of them, or two have one name.
        ModelError: a model cannot be opened.
        UsageError: a setting has no effect with another one, or the token is empty or has spaces.
        ServingError: the address is taken.
        MissingExtra: the extra `serve` is not installed.

    Example:
        >>> with eyespot.serve("runs/digits-cnn-1", port=0, background=True) as server:
        ...     print(server.url)
    """
    _check_installed()
    if token is not None and not is_token(token):
        raise UsageError("A server's token must be letters, digits and signs, at least one, without spaces.")
    if corrections is not None and not take_corrections:
        raise UsageError("`corrections` has no effect with `take_corrections=False`: leave one of them out.")
    if allow_hosts and not is_loopback(host):
        raise UsageError(
            f"`allow_hosts` has no effect with `host={host!r}`, where a server answers to any name: leave it out."
        )
    from eyespot.serving.server import BackgroundServer, address_of, bind, serve_until_stopped

    single = [runs] if isinstance(runs, RunLike) else list(runs)
    folders = [run.path if isinstance(run, Run) else Path(run) for run in single]
    correction_folders = [_corrections_of(folder, corrections, alone=len(folders) == 1) for folder in folders]
    in_background = _in_event_loop() if background is None else background
    with ExitStack() as stack:
        listener = stack.enter_context(bind(host, port))
        from eyespot.serving.guard import Access, hosts_for
        from eyespot.serving.log import Log
        from eyespot.serving.served_models import open_service

        deployments = [
            _deployment(folder, correction_folder if take_corrections else None, examples)
            for folder, correction_folder in zip(folders, correction_folders, strict=True)
        ]
        access = Access(token, hosts_for(host, tuple(allow_hosts)), tuple(allow_origins))
        service = open_service(deployments, limits or ServerLimits(), access, Log(quiet=quiet))

        def ready() -> None:
            if on_ready:
                on_ready(address_of(listener), list(service.models))

        if not in_background:
            serve_until_stopped(service, listener, ready)
            return None
        stack.pop_all()  # the server closes the listener
        server = BackgroundServer(service, listener)
        ready()
        return server


def _in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _check_installed() -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtra("The server", missing, "serve")


def _corrections_of(folder: Path, corrections: str | Path | None, *, alone: bool) -> Path:
    """Return the folder of corrections: in a run, but beside an export, whose folder a later export replaces."""
    if corrections is None:
        path = folder if folder.name not in {"", ".."} else folder.resolve()
        return path.with_name(f"{path.name}-{CORRECTIONS}") if is_export(folder) else folder / CORRECTIONS
    return Path(corrections) if alone else Path(corrections) / _name(folder)


def _name(folder: Path) -> str:
    return folder.resolve().name


def _deployment(folder: Path, corrections: Path | None, examples: bool | None) -> "Deployment":
    from eyespot.serving.served_models import Deployment

    is_run = (folder / "recipe.yaml").is_file()
    return Deployment(_name(folder), folder, corrections, partial(_test_pictures, folder, examples) if is_run else None)


def _test_pictures(folder: Path, shown: bool | None) -> "Examples":
    """Return a run's test images, or why they are not shown; a note names no folder."""
    from eyespot.serving.served_models import Examples, no_examples

    run = Run(folder)
    shape = run.predictor().input_shape
    try:
        from eyespot.data.catalog import CATALOG
        from eyespot.workflow.run_data import are_kept, unsplit_pictures_of

        if not are_kept(run):
            return no_examples(shape, "The run was trained on arrays, which are not kept.")
        if shown is False or (shown is None and run.recipe.dataset not in CATALOG):
            return no_examples(shape, NOT_SHOWN)
        dataset, notes = unsplit_pictures_of(run, verbose=0)
        if shown is None and (notes or not dataset.public):  # not the public pictures that it was trained on
            return no_examples(shape, NOT_SHOWN)
    except (EyespotError, ImportError, OSError):
        return no_examples(shape, "The test images cannot be read.")
    if dataset.test is None:
        return no_examples(shape, "The run has no test images.")
    return Examples(dataset.test.images, dataset.test.labels, " ".join(notes) or None)
