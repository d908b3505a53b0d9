"""Shelf: finds the files of a published dataset, wherever they lie and however they are packed."""

import gzip
import os
import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from eyespot.data.download import RemoteFile, download
from eyespot.errors import DataError, DownloadError


def data_directory() -> Path | None:
    """The folder the user keeps datasets in: the setting EYESPOT_DATA, if there is one."""
    setting = os.environ.get("EYESPOT_DATA")
    return Path(setting).expanduser() if setting else None


def cache_directory() -> Path:
    """Where downloads are kept: below the setting EYESPOT_CACHE, else in this system's cache folder for eyespot."""
    if setting := os.environ.get("EYESPOT_CACHE"):
        return Path(setting).expanduser() / "datasets"
    return platformdirs.user_cache_path("eyespot", appauthor=False) / "datasets"


@dataclass(frozen=True)
class Shelf:
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
        """Downloads a file into the cache; where that lies below EYESPOT_DATA, a part that is there is the user's.

        Raises:
            DownloadError: as of `download`, or such a part is there.
        """
        folder, own = self.folders[-1], data_directory()
        if own and folder.resolve().is_relative_to(own.resolve()) and (part := folder / f"{file.name}.part").exists():
            raise DownloadError(f"{part} lies below EYESPOT_DATA, where nothing is written over: move it away.")
        return download(file, folder)

    def _spellings(self, folder: Path, name: str) -> list[Path]:
        """Plain or gzipped, `-idx3` or `.idx3` (both are about), loose or in the archive's subfolder."""
        spellings = [name, name.replace("-idx", ".idx")]
        places = [folder, folder / self.subfolder] if self.subfolder else [folder]
        return [place / (spelling + end) for place in places for spelling in spellings for end in ("", ".gz")]

    def _fetch(self, name: str) -> Path:
        remote = self.files[0] if self.subfolder else next(f for f in self.files if f.name in (name, name + ".gz"))
        try:
            return self.fetch(remote)
        except DownloadError as error:
            looked, own = " and ".join(str(folder) for folder in self.folders), data_directory()
            where = (
                f" Or at {own / self.name}." if own else f" Or set EYESPOT_DATA to a folder that holds {self.name}/."
            )
            raise DownloadError(f"{self.name} is not on this machine (looked in {looked}). {error}{where}") from None

    def _member(self, archive: Path, name: str) -> tuple[bytes, str]:
        """One file out of the archive."""
        for member in (f"{self.subfolder}/{name}", f"{self.subfolder}/{name}.gz"):
            content = _zip_member(archive, member) if archive.suffix == ".zip" else _tar_member(archive, member)
            if content is not None:
                where = f"{archive}: {member}"
                return (_gunzip(content, where) if member.endswith(".gz") else content), where
        raise DataError(f"{archive} does not hold {self.subfolder}/{name}: it is another archive, or damaged.")


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
