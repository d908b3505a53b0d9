"""The decoder of one picture: in this process, or in one that runs this module, which can be bounded and killed.

The process reads a job and a picture's file from its standard input, and answers on its standard output; it loads no
model, and ends with its input.
"""

import json
import struct
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from eyespot.data.picture import Resize, open_picture
from eyespot.errors import PictureError
from eyespot.inference.pictures import PictureReader, ReadPicture
from eyespot.preprocessing.appearance import Appearance

LENGTHS = struct.Struct("<IQ")  # of the JSON, and of the bytes after it
FIRST_VICTIM = "1000"  # to Linux, where memory runs out


def main(memory: int) -> None:
    """Answer jobs until the input ends.

    Args:
        memory: bytes that reading a picture may take, beside what the process has when it begins.
    """
    _bound(memory)
    jobs, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            values, content = receive(jobs)
        except EOFError:
            return
        try:
            pictures = read(_job(values), content)
        except PictureError as error:
            send(answers, {"error": str(error)}, [])
        except MemoryError:
            send(answers, {"error": f"{values['name']} needs more memory than it may take. Make it smaller first."}, [])
        else:
            entries = [{"shape": picture.image.shape, "box": picture.box, "note": picture.note} for picture in pictures]
            send(answers, {"pictures": entries}, [picture.image.tobytes() for picture in pictures])


def _bound(memory: int) -> None:
    """Bound the memory of this process where the system can: Linux."""
    try:
        import resource

        used_bytes = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_DATA, (used_bytes + memory, used_bytes + memory))
        Path("/proc/self/oom_score_adj").write_text(FIRST_VICTIM, encoding="ascii")
    except (ImportError, OSError, ValueError):
        return  # what `eyespot.data.picture` bounds holds everywhere


def receive(stream: BinaryIO, most: int | None = None) -> tuple[Any, bytes]:
    """Read what `send` wrote.

    Args:
        most: bytes, where the sender may be what a hostile picture has made of it.

    Raises:
        EOFError: the stream has ended.
        ValueError: it announces more than `most` bytes, or sends no JSON.
    """
    lengths = LENGTHS.unpack(_exactly(stream, LENGTHS.size))
    if most is not None and sum(lengths) > most:
        raise ValueError(f"{sum(lengths):,} bytes are announced; {most:,} may come.")
    text, content = (_exactly(stream, length) for length in lengths)
    return json.loads(text), content


def _exactly(stream: BinaryIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) < count:
        raise EOFError
    return content


@dataclass(frozen=True)
class Job:
    """How a picture is read.

    Attributes:
        name: of the picture, in an error.
        shape: height, width and channels of the model's pictures.
        resize: how training brought pictures to that size.
        appearance: what the training images look like; None: pictures are only resized.
        each: read every object on the picture.
        longest: keep the picture's own size, with at most this many pixels a side; None: bring it to the model's.
    """

    name: str
    shape: tuple[int, int, int]
    resize: Resize
    appearance: Appearance | None = None
    each: bool = False
    longest: int | None = None


def read(job: Job, content: bytes) -> list[ReadPicture]:
    """Read the picture, or each object on it.

    Raises:
        PictureError: it cannot be read.
    """
    if job.longest is None:
        return list(PictureReader(job.shape, job.resize, job.appearance, each=job.each).read([(job.name, content)]))
    channels = job.shape[2]
    picture = open_picture(content, job.name, grey=channels == 1)
    picture.thumbnail((job.longest, job.longest))
    pixels = np.asarray(picture, np.uint8).reshape(picture.height, picture.width, channels)
    return [ReadPicture(job.name, pixels)]


def send(stream: BinaryIO, values: object, content: Sequence[bytes]) -> None:
    """Write plain values and bytes.

    Raises:
        OSError: the reader has gone.
    """
    text = json.dumps(values).encode()
    stream.write(LENGTHS.pack(len(text), sum(map(len, content))) + text)
    stream.writelines(content)
    stream.flush()


def plain(job: Job) -> dict[str, Any]:
    """Return a job as values for JSON."""
    return asdict(job)


def _job(values: dict[str, Any]) -> Job:
    """Return the job whose values these are."""
    appearance = values["appearance"] and Appearance.from_dict(values["appearance"])
    return Job(**values | {"shape": tuple(values["shape"]), "appearance": appearance})
