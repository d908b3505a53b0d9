"""Reads one hostile picture after the other with little memory, and prints what came of each; a program of its own."""

import json
import resource
import sys
import time
from pathlib import Path

MEMORY = 620_000_000  # bytes: what decoding may take, the file and what was cut out of it


def main(size: int, names: list[str]) -> None:
    from eyespot.data.picture import open_picture, read_header, read_picture
    from eyespot.errors import PictureError
    from tests.data.picture_files.hostile import attacks

    contents = {name: attacks(size)[name]() for name in names}
    used = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY, used + MEMORY))
    for name, content in contents.items():
        started = time.process_time()
        try:
            read_header(content, "it")
            read_picture(content, (28, 28, 3), "it", "pad")
            open_picture(content, "it", grey=False)
            outcome = "read"
        except PictureError as error:
            outcome = str(error)
        sys.stdout.write(json.dumps([name, time.process_time() - started, outcome]) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
