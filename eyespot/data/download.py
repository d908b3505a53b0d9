"""Fetching one file: resumable, verified, atomic, from the first mirror that serves it.

Written over and removed is `<name>.part` alone, in the cache; a file that has the name already is never touched.
"""

import hashlib
import os
import time
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from eyespot.errors import DownloadError
from eyespot.files import move_to_free

BLOCK = 1 << 16
STALL_SECONDS = 20.0
TRIES_PER_MIRROR = 3


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Attributes:
        name: its file name, here and there.
        size: in bytes.
        sha256: of the whole file, from a published source.
        mirrors: folder addresses ending in `/`; tried in order.
    """

    name: str
    size: int
    sha256: str
    mirrors: tuple[str, ...]


def download(file: RemoteFile, folder: Path, *, stall_seconds: float = STALL_SECONDS) -> Path:
    """Brings `file` into `folder` and returns its path; a copy already there is taken as it is.

    What has arrived stays in `<name>.part` and is continued by the next try or the next call. The name itself appears
    only when all bytes are there and their SHA-256 is the published one.

    Raises:
        DownloadError: no mirror serves the right bytes; says what each one answered and where to put the file by hand.
    """
    target = folder / file.name
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{file.name}.lock"):
        if target.exists():  # another process was faster
            return target
        part = folder / f"{file.name}.part"
        if part.is_symlink():
            raise DownloadError(f"{part} is a link, through which nothing is written: move it away.")
        failures = []
        for mirror in file.mirrors:
            failure = _try(file, mirror, part, stall_seconds)
            if failure is None:
                with part.open("rb+") as written:
                    os.fsync(written.fileno())  # the name stands for all the bytes, also after a power cut
                with suppress(FileExistsError):  # the user has put it there meanwhile
                    move_to_free(part, target)
                return target
            failures.append(failure)
    raise DownloadError(
        f"{file.name} could not be downloaded: {'; '.join(failures)}. "
        f"Check the network, or put the file at {target} yourself."
    )


def _try(file: RemoteFile, mirror: str, part: Path, stall_seconds: float) -> str | None:
    """Fetches from one mirror; None when `part` is whole and right, else what went wrong."""
    if _is_right(file, part):
        return None
    url, failure = mirror + file.name, ""
    inherited = part.exists()
    for attempt in range(TRIES_PER_MIRROR):
        try:
            _continue(file, url, part, stall_seconds)
        except urllib.error.HTTPError as error:
            return f"{url} answers {error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            failure = f"{url}: {_reason(error)}"
            if isinstance(error, urllib.error.URLError) and not isinstance(error.reason, TimeoutError):
                return failure  # no such host, refused: asking again at once does not help
            time.sleep(min(attempt, 2))
            continue
        if _is_right(file, part):
            return None
        received = part.stat().st_size
        if received < file.size:
            failure = f"{url} closed the connection at {received:,} of {file.size:,} bytes"
            continue
        part.unlink()
        failure = f"{url} serves other bytes than published (SHA-256 differs from {file.sha256[:12]}…)"
        if not inherited:
            return failure
        inherited = False  # the wrong bytes may have been there before: once more, from the first
    return failure


def _continue(file: RemoteFile, url: str, part: Path, stall_seconds: float) -> None:
    """Appends to `part` what is missing; starts over where the server cannot continue."""
    have = part.stat().st_size if part.exists() else 0
    if have >= file.size:  # it was whole once and wrong, or is longer than published
        part.unlink()
        have = 0
    request = urllib.request.Request(url, headers={"User-Agent": "eyespot", "Accept-Encoding": "identity"})  # noqa: S310 - catalog addresses
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=stall_seconds) as response:  # noqa: S310 - catalog addresses
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as out:
            _copy(response, out, file, have if resumed else 0)


def _copy(response: HTTPResponse, out: BinaryIO, file: RemoteFile, have: int) -> None:
    """Copies until the end, or until the file is longer than published; shows how far it is."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"downloading {file.name}", total=file.size, completed=have)
        while have <= file.size and (block := response.read1(BLOCK)):
            out.write(block)
            have += len(block)
            progress.update(task, completed=have)


def _is_right(file: RemoteFile, part: Path) -> bool:
    if not part.exists() or part.stat().st_size != file.size:
        return False
    with part.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return "the server stopped sending"
    return str(getattr(error, "reason", error)) or type(error).__name__
