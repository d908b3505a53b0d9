"""Vetting of an ONNX file, before ONNX Runtime opens it.

What an ordinary network has is let through: nodes of ONNX's own operators, and tensors that are as large as they say.
Names and numbers of fields are those of onnx.proto3. The `onnx` package would parse the file in C++, for 0.05 to 0.09
seconds of importing at the start of every prediction, which works without it otherwise.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
FIXED = {FIXED64: 8, FIXED32: 4}
LONGEST_VARINT = 10
Value = int | memoryview
LARGEST = 2**31  # no protobuf message is larger
MOST_PARTS = 1_000_000
OWN_DOMAINS = {"", "ai.onnx"}
MODEL = {7: "graph", 8: "opset_import", 20: "training_info", 25: "functions"}
OPSET = {1: "domain"}
GRAPH = {1: "node", 5: "initializer", 15: "sparse_initializer"}
NODE = {5: "attribute", 7: "domain"}
ATTRIBUTE = {5: "t", 6: "g", 10: "tensors", 11: "graphs", 22: "sparse_tensor", 23: "sparse_tensors"}
TENSOR = {
    1: "dims", 2: "data_type", 4: "float_data", 5: "int32_data", 7: "int64_data", 9: "raw_data", 10: "double_data",
    11: "uint64_data", 13: "external_data",
}  # fmt: skip
ENTRY = {1: "key", 2: "value"}
MANY = {
    "opset_import", "node", "initializer", "attribute", "tensors", "dims", "float_data", "int32_data", "int64_data",
    "double_data", "uint64_data", "external_data",
}  # fmt: skip
REFUSED = {
    "training_info": "a training of its own",
    "functions": "operators of its own",
    "g": "branches or loops",
    "graphs": "branches or loops",
    **dict.fromkeys(("sparse_initializer", "sparse_tensor", "sparse_tensors"), "sparse tensors, whose size is a claim"),
}
# Bits of an element, by TensorProto.DataType; texts have none, and are left out.
BITS = {
    1: 32, 2: 8, 3: 8, 4: 16, 5: 16, 6: 32, 7: 64, 9: 8, 10: 16, 11: 64, 12: 32, 13: 64, 14: 64, 15: 128, 16: 16,
    17: 8, 18: 8, 19: 8, 20: 8, 21: 4, 22: 4, 23: 4,
}  # fmt: skip
LEAST_BYTES = {"float_data": 4, "double_data": 8, "int32_data": 1, "int64_data": 1, "uint64_data": 1}  # of an element
ParsedFields = Mapping[str, list[Value]]


def read_onnx(path: Path) -> bytes:
    """The bytes of an ONNX file that reads no file outside its folder and runs no operators but ONNX's own.

    Raises:
        ValueError: it does otherwise, declares more than it holds, or is damaged.
        OSError: it cannot be read.
    """
    size = path.stat().st_size
    if size > LARGEST:
        raise ValueError(f"it has {size:,} bytes, and no ONNX model more than {LARGEST:,}")
    data = path.read_bytes()
    _Vetting(path.parent).model(memoryview(data))
    return data


class _Vetting:
    """A walk through a model; raises ValueError where something is not as it should be."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()
        self._parts = 0

    def model(self, data: memoryview) -> None:
        parsed = self._read(data, MODEL)
        for opset in parsed["opset_import"]:
            _check_domain(self._read(inner(opset), OPSET))
        for graph in parsed["graph"]:
            self._graph(inner(graph))

    def _read(self, data: memoryview, names: Mapping[int, str]) -> ParsedFields:
        """A message's fields by name, those with names."""
        parsed: dict[str, list[Value]] = defaultdict(list)
        for field, value in fields(data):
            self._parts += 1
            name = names.get(field, "")
            if self._parts > MOST_PARTS:
                raise ValueError("it has parts without end")
            if name in REFUSED:
                raise ValueError(f"it holds {REFUSED[name]}, which no image classifier needs")
            if parsed[name] and name and name not in MANY:
                raise ValueError(f"it is damaged: a {name} is there twice")
            parsed[name].append(value)
        return parsed

    def _graph(self, data: memoryview) -> None:
        graph = self._read(data, GRAPH)
        for node in graph["node"]:
            parsed = self._read(inner(node), NODE)
            _check_domain(parsed)
            for attribute in parsed["attribute"]:
                self._tensors(self._read(inner(attribute), ATTRIBUTE), "t", "tensors")
        self._tensors(graph, "initializer")

    def _tensors(self, parsed: ParsedFields, *names: str) -> None:
        for tensor in (tensor for name in names for tensor in parsed[name]):
            self._tensor(self._read(inner(tensor), TENSOR))

    def _tensor(self, parsed: ParsedFields) -> None:
        shape = [side for value in parsed["dims"] for side in varints(value)]
        bits = BITS.get(number(parsed["data_type"][0]), 0) if parsed["data_type"] else 0
        if not bits:
            raise ValueError("it holds a tensor that is not of numbers")
        if parsed["external_data"]:
            elements = self._elsewhere(parsed["external_data"]) * 8 // bits
        elif parsed["raw_data"]:
            elements = len(inner(parsed["raw_data"][0])) * 8 // bits
        else:
            elements = sum(
                1 if isinstance(value, int) else len(value) // element_bytes
                for name, element_bytes in LEAST_BYTES.items()
                for value in parsed[name]
            )
        if math.prod(shape) > elements:
            raise ValueError(f"it declares a tensor of the shape {tuple(shape)}, and does not hold as much")

    def _elsewhere(self, entries: list[Value]) -> int:
        """Number of bytes of a tensor in another file, which must lie in the model's folder."""
        settings: dict[str, str] = {}
        for entry in entries:
            parsed = self._read(inner(entry), ENTRY)
            (key,), (value,) = parsed["key"], parsed["value"]
            if settings.setdefault(text(key), text(value)) != text(value):
                raise ValueError("it names two places for one tensor")
        location = settings.get("location", "")
        file = (self._folder / location).resolve()
        if not location or not file.is_relative_to(self._folder) or not file.is_file():
            raise ValueError(f"it reads {location!r}, which is no file in its own folder")
        size, offset = file.stat().st_size, int(settings.get("offset", "0"))
        length = int(settings.get("length", size - offset))
        if min(offset, length) < 0 or offset + length > size:
            raise ValueError(f"it reads more of {location!r} than there is")
        return length


def _check_domain(parsed: ParsedFields) -> None:
    for domain in parsed["domain"]:
        if text(domain) not in OWN_DOMAINS:
            raise ValueError(f"it needs the operators {text(domain)!r}, which are not ONNX's own")


def text(value: Value) -> str:
    """A field as text; raises ValueError where it is none."""
    return str(inner(value), "utf-8")


def inner(value: Value) -> memoryview:
    """A field as a message or as bytes; raises ValueError where it is a number."""
    if isinstance(value, int):
        raise ValueError("a part of it is a number that should not be")  # noqa: TRY004 - the file's fault
    return value


def fields(message: memoryview) -> Iterator[tuple[int, Value]]:
    """The number and the value of each field; texts, arrays and messages as their bytes.

    Raises:
        ValueError: the bytes are no message, or are cut short.
    """
    position = 0
    while position < len(message):
        key, position = _varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = _varint(message, position)
            yield key >> 3, value
            continue
        size = FIXED.get(kind, 0)
        if kind == LENGTH:
            size, position = _varint(message, position)
        elif not size:
            raise ValueError("it is no message, or is damaged")
        if size > len(message) - position:
            raise ValueError("it is damaged, or cut short")
        yield key >> 3, message[position : position + size]
        position += size


def _varint(message: memoryview, position: int) -> tuple[int, int]:
    """The number that begins at a position, and the position after it."""
    value = 0
    for count, byte in enumerate(message[position : position + LONGEST_VARINT]):
        value |= (byte & 127) << 7 * count
        if byte < 128:  # noqa: PLR2004 - the highest bit says that another byte follows
            return value & 2**64 - 1, position + count + 1
    raise ValueError("it is damaged, or cut short")


def varints(value: Value) -> Iterator[int]:
    """A repeated field's numbers, which may be one, or many packed into bytes."""
    if isinstance(value, int):
        yield value
        return
    position = 0
    while position < len(value):
        item, position = _varint(value, position)
        yield item


def number(value: Value) -> int:
    """A field as a number; raises ValueError where it is none."""
    if not isinstance(value, int):
        raise ValueError("a number in it is none")  # noqa: TRY004 - the file's fault
    return value
