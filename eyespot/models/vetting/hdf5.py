"""The weights in an HDF5 file, read without libhdf5.

libhdf5 2.0 crashed on 4 of 20,000 mutated weights files and hung on 36, so no file from outside is given to it. Keras
writes HDF5 in its oldest form: groups are symbol tables, arrays lie in one piece. That is little enough to read here,
each address and length checked against the file. What is not known is refused: links, storage outside the file, virtual
or compressed arrays, references, objects. Names are those of the HDF5 File Format Specification, version 3.0.
"""

import math
import struct
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = 2**64 - 1  # the address of what is not there
DEEPEST, LONGEST_NAME = 64, 1024
NIL, DATASPACE, DATATYPE, OLD_FILL, FILL, LAYOUT, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, MODIFIED = (
    0x00, 0x01, 0x03, 0x04, 0x05, 0x08, 0x0C, 0x10, 0x11, 0x12
)  # fmt: skip
KNOWN = {NIL, DATASPACE, DATATYPE, OLD_FILL, FILL, LAYOUT, ATTRIBUTE, CONTINUATION, SYMBOL_TABLE, MODIFIED}
REFUSED = {0x02: "links", 0x06: "links", 0x07: "arrays stored in other files", 0x0B: "compressed arrays"}
TEXT = 9  # the class of a type of any length
CONTIGUOUS = b"\x03\x01"  # version 3 of the message, in one piece
BFLOAT16 = np.dtype("V2")  # as h5py writes it, which knows no such number


def read_weights(data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an HDF5 file as Keras writes it.

    Returns:
        By path within the file, such as `layers/dense/vars/0`; they share the memory of `data`. A bfloat16 has the
        dtype `V2`.

    Raises:
        ValueError: it is not such a file, holds something else than arrays of numbers, or is damaged.
    """
    try:
        return _Hdf5Reader(data).read()
    except (struct.error, OverflowError):
        raise ValueError("its HDF5 is damaged: a number in it is impossible") from None


class _Hdf5Reader:
    """Walks the file from its root; what was read once is not read again, so that the walk ends."""

    def __init__(self, data: bytes) -> None:
        self._data = memoryview(data)
        self._taken: dict[int, int] = {}  # sizes of what has been read, by address
        self._total = 0
        self._arrays: dict[str, np.ndarray] = {}

    def read(self) -> dict[str, np.ndarray]:
        root = self._superblock()
        messages = self._messages(root)
        if SYMBOL_TABLE not in messages:
            raise ValueError("its HDF5 has no root group of the form that Keras writes")
        self._group(messages, "", 0)
        end = 0
        for address, size in sorted(self._taken.items()):
            if address < end:
                raise ValueError("its HDF5 is damaged: two parts of it overlap")
            end = address + size
        return self._arrays

    def _take(self, address: int, size: int) -> memoryview:
        """A part of the file that belongs to nothing else."""
        if address + size > len(self._data):
            raise ValueError("its HDF5 is damaged or cut short: a part of it would lie behind its end")
        if size and address in self._taken:
            raise ValueError("its HDF5 is damaged: a part of it is used twice")
        self._total += size
        if self._total > len(self._data):
            raise ValueError("its HDF5 is damaged: its parts are larger than the whole")
        if size:
            self._taken[address] = size
        return self._data[address : address + size]

    def _superblock(self) -> int:
        """The address of the root group's header."""
        if bytes(self._data[:8]) != SIGNATURE:
            raise ValueError("it is not HDF5")
        block = self._take(0, 96)
        *versions, offsets, lengths, _ = struct.unpack_from("<8B", block, 8)
        self._leaf, self._inner = struct.unpack_from("<2H", block, 16)
        base, _, end, driver = struct.unpack_from("<4Q", block, 24)
        if any(versions) or (offsets, lengths) != (8, 8) or base or driver != UNDEFINED:
            raise ValueError("its HDF5 is not of the form that Keras writes")
        if end != len(self._data):
            raise ValueError(f"its HDF5 is cut short or damaged: it has {len(self._data):,} bytes, not {end:,}")
        return int(struct.unpack_from("<Q", block, 64)[0])

    def _messages(self, address: int) -> dict[int, list[memoryview]]:
        """The messages of an object's header, by kind."""
        version, number, _, size = struct.unpack_from("<BxHII", self._take(address, 16))
        if version != 1:
            raise ValueError("its HDF5 is not of the form that Keras writes")
        messages: dict[int, list[memoryview]] = defaultdict(list)
        blocks, count = [self._take(address + 16, size)], 0
        for block in blocks:
            offset = 0
            while offset + 8 <= len(block):
                kind, length, flags = struct.unpack_from("<HHB", block, offset)
                if kind not in KNOWN:
                    raise ValueError(f"its HDF5 holds {REFUSED.get(kind, 'what Keras does not write')}")
                content = block[offset + 8 : offset + 8 + length]
                if len(content) != length or flags & 2:
                    raise ValueError("its HDF5 is damaged: a header does not fit its size")
                messages[kind].append(content)
                if kind == CONTINUATION:
                    blocks.append(self._take(*struct.unpack_from("<QQ", content)))
                elif kind == ATTRIBUTE:
                    self._take_text(content)
                offset += 8 + length
                count += 1
        if count != number or any(len(messages[kind]) > 1 for kind in (DATASPACE, DATATYPE, LAYOUT, SYMBOL_TABLE)):
            raise ValueError("its HDF5 is damaged: a header does not say what it should")
        return {kind: contents for kind, contents in messages.items() if contents}

    def _take_text(self, attribute: memoryview) -> None:
        """Take the heap in which an attribute's text lies, such as a layer's name: no array may lie there."""
        name, kind, space = (-(-size // 8) * 8 for size in struct.unpack_from("<2x3H", attribute))
        (address,) = struct.unpack_from("<4xQ", attribute, 8 + name + kind + space)
        if attribute[8 + name] & 15 == TEXT and bytes(self._data[address : address + 4]) == b"GCOL":
            (size,) = struct.unpack_from("<8xQ", self._data, address)
            if self._taken.get(address) != size:  # attributes share it
                self._take(address, size)

    def _group(self, messages: dict[int, list[memoryview]], path: str, depth: int) -> None:
        if depth > DEEPEST:
            raise ValueError("its HDF5 holds groups within groups without end")
        tree, heap = struct.unpack_from("<QQ", messages[SYMBOL_TABLE][0])
        signature, size, segment = struct.unpack_from("<4s4xQ8xQ", self._take(heap, 32))
        if signature != b"HEAP":
            raise ValueError("its HDF5 is damaged: a group has no names")
        names = bytes(self._take(segment, size))
        for offset, header in self._entries(tree):
            name = _name(names, offset)
            inner = f"{path}/{name}" if path else name
            member_messages = self._messages(header)
            if SYMBOL_TABLE in member_messages:
                self._group(member_messages, inner, depth + 1)
            elif inner in self._arrays:
                raise ValueError(f"its HDF5 holds {inner} twice")
            else:
                self._arrays[inner] = self._array(member_messages, inner)

    def _entries(self, node: int, expected: int | None = None) -> Iterator[tuple[int, int]]:
        """A group's members, as the place of the name and the address of the header, below a node of its B-tree."""
        content = self._take(node, 32 + 32 * self._inner)
        signature, kind, level, used = struct.unpack_from("<4sBBH", content)
        if signature != b"TREE" or kind != 0 or expected not in {None, level} or used > 2 * self._inner:
            raise ValueError("its HDF5 is damaged: a group has no members' list")
        for child in range(used):
            (address,) = struct.unpack_from("<Q", content, 32 + 16 * child)
            if level:
                yield from self._entries(address, level - 1)
            else:
                yield from self._symbols(address)

    def _symbols(self, address: int) -> Iterator[tuple[int, int]]:
        content = self._take(address, 8 + 80 * self._leaf)
        signature, version, number = struct.unpack_from("<4sBxH", content)
        if (signature, version) != (b"SNOD", 1) or number > 2 * self._leaf:
            raise ValueError("its HDF5 is damaged: a group has no members' list")
        for offset, header, cached in struct.iter_unpack("<QQI20x", content[8 : 8 + 40 * number]):
            if cached > 1:
                raise ValueError("its HDF5 holds links")
            yield offset, header

    def _array(self, messages: dict[int, list[memoryview]], path: str) -> np.ndarray:
        if not {DATASPACE, DATATYPE, LAYOUT} <= set(messages):
            raise ValueError(f"its HDF5 has {path}, which is neither a group nor an array")
        shape = _shape(messages[DATASPACE][0])
        dtype = next(
            (
                number_type
                for type_message, number_type in TYPES.items()
                if _is_type(messages[DATATYPE][0], type_message)
            ),
            None,
        )
        if dtype is None:
            raise ValueError(f"its array {path} is not of numbers")
        layout = messages[LAYOUT][0]
        if bytes(layout[:2]) != CONTIGUOUS:
            raise ValueError(f"its array {path} is virtual or in pieces, which Keras does not write")
        address, size = struct.unpack_from("<QQ", layout, 2)
        if size != math.prod(shape) * dtype.itemsize or (size and address == UNDEFINED):
            raise ValueError(f"its array {path} declares the shape {shape}, and does not hold as much")
        content = self._take(address, size) if size else b""
        return np.frombuffer(content, dtype).reshape(shape)


def _name(names: bytes, offset: int) -> str:
    end = names.find(b"\0", offset, offset + LONGEST_NAME)
    name = names[offset:end].decode() if 0 <= offset < end else ""
    if not name or "/" in name or name in {".", ".."}:
        raise ValueError("its HDF5 is damaged: a member has no name")
    return name


def _shape(message: memoryview) -> tuple[int, ...]:
    version, rank, flags = struct.unpack_from("<3B", message)
    if version != 1 or flags > 1:
        raise ValueError("its HDF5 is not of the form that Keras writes")
    return struct.unpack_from(f"<{rank}Q", message, 8)


def _integer(dtype: np.dtype, signed: int) -> bytes:
    return struct.pack("<4BIHH", 0x10, signed, 0, 0, dtype.itemsize, 0, dtype.itemsize * 8)


def _float(dtype: np.dtype, exponent: int, mantissa: int) -> bytes:
    size, bits, bias = dtype.itemsize, dtype.itemsize * 8, 2 ** (exponent - 1) - 1
    return struct.pack("<4BIHH4BI", 0x11, 0x20, bits - 1, 0, size, 0, bits, mantissa, exponent, 0, mantissa, bias)


# Number types, as their messages are written; another message is another type.
TYPES = {
    **{_integer(np.dtype(f"<i{size}"), 0x08): np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{_integer(np.dtype(f"<u{size}"), 0x00): np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    _float(np.dtype("<f2"), 5, 10): np.dtype("<f2"),
    _float(np.dtype("<f4"), 8, 23): np.dtype("<f4"),
    _float(np.dtype("<f8"), 11, 52): np.dtype("<f8"),
    struct.pack("<4BI", 0x15, 0, 0, 0, 2): BFLOAT16,
}


def _is_type(message: memoryview, type_message: bytes) -> bool:
    """Whether a message is the one of a type, filled up to eight bytes."""
    return bytes(message[: len(type_message)]) == type_message and not any(message[len(type_message) :])


def write_weights(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays that were read as HDF5 that Keras can open."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            dataset = file.create_dataset(name, data=array)
            if array.dtype == BFLOAT16:
                dataset.attrs["dtype"] = "bfloat16"  # what Keras looks for
