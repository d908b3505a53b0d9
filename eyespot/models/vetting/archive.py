"""A `.keras` archive, read without Keras: what is in it is known before anything is built."""

import json
import stat
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from eyespot.models.vetting.hdf5 import read_weights, write_weights

CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets/"
LARGEST_CONFIG = 8 * 2**20  # the largest network of keras.applications has 2 MB
MOST_MEMBERS = 1000
ENCRYPTED = 0x1


@dataclass(frozen=True)
class Archive:
    """The contents of a `.keras` file.

    Attributes:
        config: what Keras builds the model from.
        weights: arrays by their path, as of `read_weights`.
        assets: files that layers have written, by their path below `assets/`.
    """

    config: dict[str, Any]
    weights: dict[str, np.ndarray]
    assets: dict[str, bytes]


def read_archive(path: Path) -> Archive:
    """Read a `.keras` file whole, each part of it checked.

    Raises:
        ValueError: it holds what Keras does not write, declares what it does not hold, or is damaged.
        OSError: it cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = _members(archive, path.stat().st_size)
            files = {name: archive.read(member) for name, member in members.items()}
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise ValueError(f"it is no archive, or a damaged one ({error})") from None
    for name in (CONFIG, WEIGHTS):
        if name not in files:
            raise ValueError(f"it has no {name}")
    config = json.loads(files[CONFIG])
    if not isinstance(config, dict):
        raise ValueError(f"its {CONFIG} describes no model")  # noqa: TRY004 - the file's fault, not a caller's
    assets = {name: content for name, content in files.items() if name.startswith(ASSETS)}
    return Archive(config, read_weights(files[WEIGHTS]), assets)


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """The members by name, if all of them are such as Keras writes, and no larger together than the file."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or len({member.filename for member in members}) < len(members):
        raise ValueError("it holds a name twice, or names without end")
    for problem in (problem for member in members for problem in _problems(member)):
        raise ValueError(problem)
    if sum(member.file_size for member in members) > size:
        raise ValueError(f"it declares more than its {size:,} bytes can hold")
    return {member.filename: member for member in members}


def _problems(member: zipfile.ZipInfo) -> Iterator[str]:
    """Yield the problems of a member: what Keras does not write."""
    name = member.filename
    parts = PurePosixPath(name).parts
    is_asset = name.startswith(ASSETS) and ".." not in parts and not set('\\:"<>|?*') & set(name)
    if name != member.orig_filename or (name not in {CONFIG, METADATA, WEIGHTS} and not is_asset):
        yield f"it holds {name!r}, which Keras does not write"
    if stat.S_IFMT(member.external_attr >> 16) not in {0, stat.S_IFREG, stat.S_IFDIR}:
        yield f"its {name} is a link, not a file"
    if member.flag_bits & ENCRYPTED:
        yield f"its {name} is encrypted"
    if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
        yield f"its {name} is compressed, which could hide any size, and which Keras does not do"
    if name == CONFIG and member.file_size > LARGEST_CONFIG:
        yield f"its {name} has {member.file_size:,} bytes, where {LARGEST_CONFIG:,} are plenty"


def write_archive(path: Path, archive: Archive) -> None:
    """Write a `.keras` file of what was read from another; Keras opens this one."""
    weights = path.with_name(WEIGHTS)
    write_weights(weights, archive.weights)
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(METADATA, "{}")
        file.writestr(CONFIG, json.dumps(archive.config))
        file.write(weights, WEIGHTS)
        for name, content in archive.assets.items():
            file.writestr(name, content)
    weights.unlink()
