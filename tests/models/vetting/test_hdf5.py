import io
from pathlib import Path

import h5py
import numpy as np
import pytest

from eyespot.models.vetting.hdf5 import BFLOAT16, read_weights, write_weights

NUMBERS = np.arange(24).reshape(2, 3, 4)


def hdf5(arrays: dict[str, np.ndarray]) -> bytes:
    """As h5py writes it."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, array in arrays.items():
            file[name] = array
            file[name].parent.attrs["name"] = "a layer's name, as Keras adds it"
    return buffer.getvalue()


def same(read: dict[str, np.ndarray], written: dict[str, np.ndarray]) -> bool:
    return {name: (a.dtype, a.shape, a.tobytes()) for name, a in read.items()} == {
        name: (a.dtype, a.shape, a.tobytes()) for name, a in written.items()
    }


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", BFLOAT16])
def test_every_number_type_is_read(dtype: str):
    """Arrays come back bit for bit; so does a number alone, and an array without any."""
    array = np.frombuffer(NUMBERS.astype(np.int64).tobytes(), dtype)
    written = {"layers/a/vars/0": array.reshape(2, -1), "layers/a/vars/1": array[0], "b": array[:0].reshape(0, 3)}
    assert same(read_weights(hdf5(written)), {name: np.asarray(array) for name, array in written.items()})


def test_what_was_read_can_be_written(tmp_path: Path):
    """The copy that Keras is given holds the same arrays."""
    written = {"layers/a/vars/0": NUMBERS, "layers/a/vars/1": NUMBERS[0].astype(np.int16).view(BFLOAT16)}
    write_weights(tmp_path / "copy.h5", read_weights(hdf5(written)))
    assert same(read_weights((tmp_path / "copy.h5").read_bytes()), written)


def test_a_group_of_many_members_is_read():
    """Two thousand members make a tree of several levels, and long names a large heap."""
    written = {f"layers/{'long' * 20}{number}/vars/0": np.array([number]) for number in range(2000)}
    assert same(read_weights(hdf5(written)), written)


def test_no_part_of_a_file_will_do():
    """Cut short at any place, it is told."""
    whole = hdf5({"a/b": NUMBERS})
    for size in range(0, len(whole), 7):
        with pytest.raises(ValueError, match="HDF5"):
            read_weights(whole[:size])


def test_a_changed_byte_changes_no_more_than_a_number():
    """Whichever byte is changed, it is told, or lies within an array, or in what is not looked at."""
    written: dict[str, np.ndarray] = {"layers/a/vars/0": NUMBERS.astype(np.float32), "layers/b/vars/0": NUMBERS}
    whole, told = hdf5(written), 0
    for place in range(0, len(whole), 3):
        changed = bytearray(whole)
        changed[place] ^= 0x55
        try:
            read = read_weights(bytes(changed))
        except ValueError:
            told += 1
            continue
        assert sorted(array.shape for array in read.values()) == sorted(array.shape for array in written.values())
        pairs = zip(read.values(), written.values(), strict=True)
        assert sum(int((new != old).sum()) for new, old in pairs) <= 1
    assert told > 200


@pytest.mark.parametrize("version", ["v108", "v200"])
def test_other_forms_of_hdf5_are_told(version: str):
    """Keras does not write the newer forms, and so they are not read."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=version) as file:
        file["a"] = NUMBERS
    with pytest.raises(ValueError, match="not of the form that Keras writes"):
        read_weights(buffer.getvalue())
