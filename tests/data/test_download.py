import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from eyespot.data import download as module
from eyespot.data.download import RemoteFile, download
from eyespot.errors import DownloadError

CONTENT = bytes(range(256)) * 4000


class Server(ThreadingHTTPServer):
    """Serves CONTENT; `mood` says how well."""

    daemon_threads = True
    mood = "good"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str | None] = []
        self.ends = threading.Event()
        self.address = f"http://127.0.0.1:{self.server_port}/"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        mood, wanted = self.server.mood, self.headers["Range"]
        self.server.ranges.append(wanted)
        if mood == "missing":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and mood != "no ranges" else 0
        body = CONTENT[start:] if mood != "other bytes" else b"x" * len(CONTENT)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) + (1000 if mood == "too long" else 0)))
        self.end_headers()
        if mood == "breaks off" and len(self.server.ranges) == 1:
            self.wfile.write(body[: len(body) // 3])
            return
        if mood == "stalls" or (mood == "stalls once" and len(self.server.ranges) == 1):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.server.ends.wait(20)
            return
        self.wfile.write(body + (b"y" * 1000 if mood == "too long" else b""))

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def server() -> Iterator[Server]:
    serving = Server()
    thread = threading.Thread(target=serving.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield serving
    serving.ends.set()
    serving.shutdown()
    serving.server_close()
    thread.join()


def published(*addresses: str, content: bytes = CONTENT) -> RemoteFile:
    return RemoteFile("data.bin", len(content), hashlib.sha256(content).hexdigest(), addresses)


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_file_arrives_once(server: Server, tmp_path: Path):
    """The file is fetched, verified and named; the second call asks nobody."""
    file = published(server.address)
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert len(server.ranges) == 1
    assert left_in(tmp_path) == {"data.bin"}


def test_a_broken_connection_is_continued(server: Server, tmp_path: Path):
    """After a connection that breaks off, the next request asks for the rest only."""
    server.mood = "breaks off"
    assert download(published(server.address), tmp_path).read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 3}-"]


def test_an_earlier_part_is_continued(server: Server, tmp_path: Path):
    """What an earlier call left behind is continued."""
    (tmp_path / "data.bin.part").write_bytes(CONTENT[:5000])
    assert download(published(server.address), tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=5000-"]


def test_a_server_without_ranges_starts_over(server: Server, tmp_path: Path):
    """Where the server sends the whole file anyway, the part is replaced, not doubled."""
    server.mood = "no ranges"
    (tmp_path / "data.bin.part").write_bytes(b"z" * 5000)
    assert download(published(server.address), tmp_path).read_bytes() == CONTENT


def test_a_damaged_part_is_fetched_anew(server: Server, tmp_path: Path):
    """A part that is whole but wrong is thrown away."""
    (tmp_path / "data.bin.part").write_bytes(b"z" * len(CONTENT))
    assert download(published(server.address), tmp_path).read_bytes() == CONTENT


def test_a_stall_is_noticed_and_continued(server: Server, tmp_path: Path):
    """A server that stops sending is given up on after the limit, and asked for the rest."""
    server.mood = "stalls once"
    assert download(published(server.address), tmp_path, stall_seconds=0.3).read_bytes() == CONTENT
    assert len(server.ranges) == 2


@pytest.mark.parametrize(
    ("mood", "told"),
    [
        ("missing", "answers 404"),
        ("other bytes", "other bytes than published"),
        ("too long", "other bytes than published"),
        ("stalls", "stopped sending"),
    ],
)
def test_failures_are_told_and_leave_no_file(server: Server, tmp_path: Path, mood: str, told: str):
    """What cannot be had is told with the address and where to put it; no unverified file gets the name."""
    server.mood = mood
    with pytest.raises(DownloadError, match=told) as caught:
        download(published(server.address), tmp_path, stall_seconds=0.2)
    assert server.address in str(caught.value)
    assert str(tmp_path / "data.bin") in str(caught.value)
    assert "data.bin" not in left_in(tmp_path)


def test_the_next_mirror_is_tried(server: Server, tmp_path: Path):
    """A mirror that refuses connections does not matter while another serves."""
    dead = "http://127.0.0.1:9/"
    assert download(published(dead, server.address), tmp_path).read_bytes() == CONTENT


def test_no_network_names_every_mirror(tmp_path: Path):
    """Without any answer the error names each address that was tried."""
    addresses = ("http://127.0.0.1:9/", "http://no-such-host.invalid/")
    with pytest.raises(DownloadError) as caught:
        download(published(*addresses), tmp_path)
    assert all(address in str(caught.value) for address in addresses)


def test_two_processes_fetch_once(server: Server, tmp_path: Path):
    """While one is downloading, another waits and takes the same file."""
    found: list[bytes] = []
    file = published(server.address)
    threads = [threading.Thread(target=lambda: found.append(download(file, tmp_path).read_bytes())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 4
    assert len(server.ranges) == 1


def test_a_poisoned_part_does_not_condemn_the_server(server: Server, tmp_path: Path):
    """Wrong first bytes, as a login page leaves them, are thrown away, and the server is asked again from the start."""
    file = published(server.address)
    (tmp_path / f"{file.name}.part").write_bytes(b"<html>please log in</html>")
    assert download(file, tmp_path).read_bytes() == CONTENT
    assert server.ranges == ["bytes=26-", None]


def test_a_part_that_is_a_link_is_left_alone(server: Server, tmp_path: Path):
    """Nothing is written through it."""
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "data.bin.part").symlink_to(tmp_path / "mine")
    with pytest.raises(DownloadError, match=r"data\.bin\.part is a link.*move it away"):
        download(published(server.address), tmp_path)
    assert (tmp_path / "mine").read_text() == "mine"


def test_a_file_that_is_put_there_meanwhile_stays(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """While a download runs, a person follows the advice of an earlier error: that file is taken as it is."""
    fetch = module._continue

    def slow(*arguments: Any) -> None:
        fetch(*arguments)
        (tmp_path / "data.bin").write_text("mine")

    monkeypatch.setattr(module, "_continue", slow)
    assert download(published(server.address), tmp_path).read_text() == "mine"
