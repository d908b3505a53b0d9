"""Download one file, and find the files of a published dataset on disk, whatever archive they are in.

A download is resumable, verified and atomic, from the first mirror that serves it. Written over and removed is
`<name>.part` alone, in the cache; a file that has the name already is never touched.

Own code: pooch, Keras and scikit-learn begin again where a connection breaks off, and know no mirrors and no locks.
"""

import gzip
import hashlib
import os
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import BinaryIO

import platformdirs
from filelock import FileLock
from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from eyespot.errors import DataError, DownloadError
from eyespot.files import move_to_free
from eyespot.output import console_for_downloads
from eyespot.progress_bars import progress_bars

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


@dataclass(frozen=True)
class PublishedFiles:
    """The files of one dataset.

    Looked for under EYESPOT_DATA/<name>/, then in the cache, then downloaded into the cache. A file may lie there
    plain or gzipped, in a subfolder its archive makes, or still in that archive; archives are read in place, member by
    member, and never unpacked.

    Attributes:
        name: of the dataset, and of its folder.
        files: as published: the files themselves, or the one archive that holds them.
        subfolder: where the archive's members lie within it ("" where there is no archive).
    """

    name: str
    files: tuple[RemoteFile, ...]
    subfolder: str = ""

    @property
    def folders(self) -> list[Path]:
        """The folders to look in, in order."""
        roots = [root for root in (data_directory(), cache_directory()) if root]
        return [root / self.name for root in roots]

    def read(self, name: str) -> tuple[bytes, str]:
        """A file's content, unzipped, and where it was found.

        Raises:
            DataError: it is truncated or is not what its name says.
            DownloadError: it is nowhere, and cannot be fetched.
        """
        for folder in self.folders:
            for path in self._spellings(folder, name):
                if path.is_file():
                    return read_plain(path), str(path)
            if self.subfolder and (archive := folder / self.files[0].name).is_file():
                return self._member(archive, name)
        fetched = self._fetch(name)
        return self._member(fetched, name) if self.subfolder else (read_plain(fetched), str(fetched))

    def fetch(self, file: RemoteFile) -> Path:
        """Download a file into the cache; where that lies below EYESPOT_DATA, a part that is there is the user's.

        Raises:
            DownloadError: as of `download`, or such a part is there.
        """
        folder, data_folder = self.folders[-1], data_directory()
        if (
            data_folder
            and folder.resolve().is_relative_to(data_folder.resolve())
            and (part := folder / f"{file.name}.part").exists()
        ):
            raise DownloadError(f"{part} lies below EYESPOT_DATA, where nothing is written over: move it away.")
        return download(file, folder)

    def _spellings(self, folder: Path, name: str) -> list[Path]:
        """Return the possible paths: plain or gzipped, `-idx3` or `.idx3`, loose or in the archive's subfolder."""
        spellings = [name, name.replace("-idx", ".idx")]
        directories = [folder, folder / self.subfolder] if self.subfolder else [folder]
        return [
            directory / (spelling + suffix)
            for directory in directories
            for spelling in spellings
            for suffix in ("", ".gz")
        ]

    def _fetch(self, name: str) -> Path:
        remote = self.files[0] if self.subfolder else next(f for f in self.files if f.name in (name, name + ".gz"))
        try:
            return self.fetch(remote)
        except DownloadError as error:
            searched, data_folder = " and ".join(str(folder) for folder in self.folders), data_directory()
            hint = (
                f" Or at {data_folder / self.name}."
                if data_folder
                else f" Or set EYESPOT_DATA to a folder that holds {self.name}/."
            )
            raise DownloadError(f"{self.name} is not on this machine (looked in {searched}). {error}{hint}") from None

    def _member(self, archive: Path, name: str) -> tuple[bytes, str]:
        """Return the content of a file in the archive, and where it lies."""
        for member in (f"{self.subfolder}/{name}", f"{self.subfolder}/{name}.gz"):
            content = _zip_member(archive, member) if archive.suffix == ".zip" else _tar_member(archive, member)
            if content is not None:
                where = f"{archive}: {member}"
                return (_gunzip(content, where) if member.endswith(".gz") else content), where
        raise DataError(f"{archive} does not hold {self.subfolder}/{name}: it is another archive, or damaged.")


def data_directory() -> Path | None:
    """The folder the user keeps datasets in: the setting EYESPOT_DATA, if there is one."""
    setting = os.environ.get("EYESPOT_DATA")
    return Path(setting).expanduser() if setting else None


def cache_directory() -> Path:
    """Where downloads are kept: below the setting EYESPOT_CACHE, else in this system's cache folder for eyespot."""
    if setting := os.environ.get("EYESPOT_CACHE"):
        return Path(setting).expanduser() / "datasets"
    return platformdirs.user_cache_path("eyespot", appauthor=False) / "datasets"


def read_plain(path: Path) -> bytes:
    """A file's content, unzipped where its name ends in .gz.

    Raises:
        DataError: it is not gzipped, or breaks off.
    """
    content = path.read_bytes()
    return _gunzip(content, str(path)) if path.suffix == ".gz" else content


def _gunzip(content: bytes, where: str) -> bytes:
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error):
        raise DataError(
            f"{where} is truncated or damaged: its gzip stream breaks off. Delete it and fetch it again."
        ) from None
    except gzip.BadGzipFile:
        raise DataError(f"{where} is not gzipped, although its name says so.") from None


def download(file: RemoteFile, folder: Path, *, stall_seconds: float = STALL_SECONDS) -> Path:
    """Bring `file` into `folder` and return its path; a copy already there is taken as it is.

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
                with part.open("rb+") as stream:
                    os.fsync(stream.fileno())  # the name stands for all the bytes, also after a power cut
                with suppress(FileExistsError):  # the user has put it there meanwhile
                    move_to_free(part, target)
                return target
            failures.append(failure)
    raise DownloadError(
        f"{file.name} could not be downloaded: {'; '.join(failures)}. "
        f"Check the network, or put the file at {target} yourself."
    )


def _try(file: RemoteFile, mirror: str, part: Path, stall_seconds: float) -> str | None:
    """Fetch from one mirror; return None when `part` is complete and right, else the failure."""
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
            if attempt + 1 < TRIES_PER_MIRROR:
                time.sleep(attempt)
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


def _is_right(file: RemoteFile, part: Path) -> bool:
    if not part.exists() or part.stat().st_size != file.size:
        return False
    with part.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == file.sha256


def _continue(file: RemoteFile, url: str, part: Path, stall_seconds: float) -> None:
    """Append to `part` what is missing; start over where the server cannot continue."""
    received = part.stat().st_size if part.exists() else 0
    if received >= file.size:  # it was whole once and wrong, or is longer than published
        part.unlink()
        received = 0
    request = urllib.request.Request(url, headers={"User-Agent": "eyespot", "Accept-Encoding": "identity"})  # noqa: S310 - catalog addresses
    if received:
        request.add_header("Range", f"bytes={received}-")
    with urllib.request.urlopen(request, timeout=stall_seconds) as response:  # noqa: S310 - catalog addresses
        resumed = response.status == HTTPStatus.PARTIAL_CONTENT
        with part.open("ab" if resumed else "wb") as stream:
            _copy(response, stream, file, received if resumed else 0)


def _copy(response: HTTPResponse, stream: BinaryIO, file: RemoteFile, received: int) -> None:
    """Copy until the end, or until the file is longer than published; show how far it is."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with progress_bars(*columns, console=console_for_downloads()) as progress:
        task = progress.add_task(f"downloading {file.name}", total=file.size, completed=received)
        while received <= file.size and (block := response.read1(BLOCK)):
            stream.write(block)
            received += len(block)
            progress.update(task, completed=received)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError) or isinstance(getattr(error, "reason", None), TimeoutError):
        return "the server stopped sending"
    return str(getattr(error, "reason", error)) or type(error).__name__


def _zip_member(archive: Path, member: str) -> bytes | None:
    try:
        with zipfile.ZipFile(archive) as opened:
            return opened.read(member) if member in opened.namelist() else None
    except (zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{archive} is truncated or damaged ({error}). Delete it and fetch it again.") from None


def _tar_member(archive: Path, member: str) -> bytes | None:
    try:
        with tarfile.open(archive) as opened:
            stream = opened.extractfile(member)
            return stream.read() if stream else None
    except KeyError:
        return None
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{archive} is truncated or damaged ({error}). Delete it and fetch it again.") from None
