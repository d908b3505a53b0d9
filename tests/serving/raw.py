"""Requests byte by byte, also those that no client would send."""

import json
import socket
from dataclasses import dataclass
from typing import Any


@dataclass
class Got:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def connect(port: int, timeout: float = 20) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout)


def head(method: str, path: str, *headers: str, host: str = "127.0.0.1") -> bytes:
    """A request's head."""
    return "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {host}", *headers, "", "")).encode("latin-1")


def post(path: str, body: bytes, *headers: str) -> bytes:
    """A whole request."""
    return head("POST", path, f"Content-Length: {len(body)}", *headers) + body


def answer(connection: socket.socket, *, bodyless: bool = False) -> Got | None:
    """The next answer, without its body if it is one to HEAD; None where the connection ends first."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return None
        data += part
        while data.startswith(b"HTTP/1.1 100 "):
            data = data.partition(b"\r\n\r\n")[2]
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = 0 if bodyless else int(headers.get("content-length", 0))
    while len(body) < length:
        part = connection.recv(65536)
        if not part:
            return None
        body += part
    return Got(int(first.split()[1]), headers, body[:length])  # what follows is the next answer


def ask(port: int, request: bytes) -> Got | None:
    """One request on a connection of its own."""
    with connect(port) as connection:
        connection.sendall(request)
        return answer(connection)
