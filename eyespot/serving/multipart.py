"""The files in a form."""

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from eyespot.serving.limits import ServerLimits
from eyespot.serving.problems import too_many, unreadable

LONGEST_NAME = 255  # characters of a file's name that an answer repeats
LONGEST_BOUNDARY = 70  # RFC 2046


@dataclass
class _FormPart:
    head: dict[bytes, bytes] = field(default_factory=dict)
    content: bytearray = field(default_factory=bytearray)


class _FormParts:
    """Collects a form's parts as the parser meets them."""

    def __init__(self, limits: ServerLimits) -> None:
        self.parts: list[_FormPart] = []
        self.ended = False
        self._limits = limits
        self._name, self._value = bytearray(), bytearray()

    def begin(self) -> None:
        if len(self.parts) == self._limits.pictures:
            raise too_many(self._limits)
        self.parts.append(_FormPart())

    def name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        self.parts[-1].head[bytes(self._name).lower()] = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def content(self, data: bytes, start: int, end: int) -> None:
        self.parts[-1].content += data[start:end]

    def end(self) -> None:
        self.ended = True


def files_of(content_type: str, body: bytes, limits: ServerLimits) -> list[tuple[str, bytes]]:
    """The form's files by name; those without a name are called by their number.

    Raises:
        Refusal: it is truncated or damaged, has parts that are no files, or more than the limit.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= LONGEST_BOUNDARY:
        raise unreadable("The form has no boundary of 1 to 70 characters in its Content-Type: let your client set it.")
    parts = _FormParts(limits)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": parts.begin,
            "on_header_field": parts.name,
            "on_header_value": parts.value,
            "on_header_end": parts.header_end,
            "on_part_data": parts.content,
            "on_end": parts.end,
        },
    )
    try:
        parser.write(body)
    except FormParserError as error:
        raise unreadable(f"The form is damaged ({str(error).splitlines()[0]}).") from None
    if not parts.ended:
        raise unreadable("The form is truncated: it ends before its last boundary.")
    return [_file(part, index) for index, part in enumerate(parts.parts)]


def _file(part: _FormPart, index: int) -> tuple[str, bytes]:
    _, options = parse_options_header(part.head.get(b"content-disposition", b""))
    if b"filename" not in options:
        field_name = options.get(b"name", b"").decode("utf-8", "replace")[:LONGEST_NAME]
        raise unreadable(f"The form's part {field_name!r} is no file: send files only; options go into the address.")
    name = options[b"filename"].decode("utf-8", "replace")[:LONGEST_NAME]
    return name or str(index), bytes(part.content)
