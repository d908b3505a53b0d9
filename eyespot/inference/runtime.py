"""ONNX Runtime with bounds: on the bytes that a model may compute with, and on the seconds of one run.

A model of a few kilobytes can ask for any number of bytes: by `ConstantOfShape`, `Expand`, `Pad`, or a chain of
`Concat(x, x)`. What a node will take cannot be read off every honest file, since Keras's exporter computes shapes in
the graph. So all sessions of a process share one arena of ONNX Runtime, which refuses an allocation beyond its bound
before it is made. Constant folding is off: it would run parts of the graph while a file is opened, outside the arena.
"""

import math
import os
import random
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

import numpy as np
import onnxruntime

from eyespot.errors import ModelError
from eyespot.inference.onnx_vetting import read_onnx
from eyespot.shapes import Shaped, UInt8

ROOM_VARIABLE = "EYESPOT_MODEL_BYTES"
ROOM = 2**29  # bytes for what layers compute, of all models in a process together; weights are not counted
SAME_AS_REQUESTED = 1  # how the arena grows: other than by doubling, which reaches the bound early
SUM_ERROR = 1e-3  # of probabilities, which are float32
FATAL = 4  # ONNX Runtime's highest level of logging
REFUSED = "Available memory of"  # how the arena's refusal begins; it has no type of its own
STOPPED = "terminate flag"
OutputArrays = list[Shaped[np.ndarray, "..."]]


def kinds_of_pictures(shape: tuple[int, int, int]) -> UInt8[np.ndarray, "5 height width channels"]:
    """Pictures of every kind that a model must have an answer to: black, grey, white, and two of noise."""
    plain = [np.full((1, *shape), value, np.uint8) for value in (0, 128, 255)]
    noise = random.Random(0).randbytes(2 * math.prod(shape))  # noqa: S311 - no secret; NumPy takes 8 ms to import its own
    return np.concatenate([*plain, np.frombuffer(noise, np.uint8).reshape(2, *shape)])


def are_probabilities(rows: Shaped[np.ndarray, "n classes"]) -> bool:
    """Whether each row adds up to 1."""
    return bool((rows >= 0).all() and (np.abs(rows.sum(axis=1) - 1) <= SUM_ERROR).all())


def open_session(path: Path, threads: int | None) -> onnxruntime.InferenceSession:
    """Open a session from the bytes that were vetted, as nothing else than ONNX.

    Raises:
        Exception: of any type, as ONNX Runtime has it; ValueError and OSError of `read_onnx`.
    """
    _share_arena(room())
    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL  # what is wrong is said once, by us
    if threads is not None:
        options.intra_op_num_threads = threads
    entries = {
        "session.load_model_format": "ONNX",
        "session.model_external_initializers_file_folder_path": str(path.parent.resolve()),
        "session.use_env_allocators": "1",
        "session.use_device_allocator_for_initializers": "1",  # a file's weights are as large as the file
    }
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    # Without a fallback, which is to the same provider, and announced on standard output.
    return onnxruntime.InferenceSession(
        read_onnx(path), options, providers=["CPUExecutionProvider"], enable_fallback=0,
        disabled_optimizers=["ConstantFolding"],
    )  # fmt: skip


@cache
def _share_arena(size: int) -> None:
    """The arena of every session that is opened from now on."""
    kind = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    settings = {"max_mem": size, "arena_extend_strategy": SAME_AS_REQUESTED}
    onnxruntime.create_and_register_allocator(kind, onnxruntime.OrtArenaCfg(settings))


def room() -> int:
    """Number of bytes that models may compute with.

    Raises:
        ModelError: the environment sets it to what is no number above 0.
    """
    text = os.environ.get(ROOM_VARIABLE, str(ROOM))
    if not text.isdecimal() or not int(text):
        raise ModelError(f"{ROOM_VARIABLE} must be a number of bytes above 0; received {text!r}.")
    return int(text)


def run_session(
    session: onnxruntime.InferenceSession,
    outputs: Sequence[str],
    inputs: Mapping[str, Shaped[np.ndarray, "..."]],
    seconds: float | None = None,
    *,
    alone: bool = False,
) -> OutputArrays:
    """The outputs of these names.

    Args:
        seconds: that the run may take, looked at between two nodes; None: as long as it needs.
        alone: while no other model of the process computes, so that all bytes are there for it.

    Raises:
        OutOfRoom: it needs more bytes than there are.
        TimeoutError: it took too long.
        Exception: of any type, as ONNX Runtime has it.
    """
    options = onnxruntime.RunOptions()
    timer = threading.Timer(seconds or 0, setattr, (options, "terminate", True))
    timer.daemon = True
    with _TURNS.alone() if alone else _TURNS.shared():
        try:
            if seconds is not None:
                timer.start()
            answers: OutputArrays = session.run(outputs, inputs, options)
        except Exception as error:
            if STOPPED in str(error):
                raise TimeoutError(f"one answer takes more than {seconds:g} seconds") from None
            if REFUSED not in str(error):
                raise
            _empty_arena(session, outputs, inputs)
            limit = f"{room():,} bytes ({ROOM_VARIABLE} sets this limit)"
            raise OutOfRoom(f"what its layers compute for one image takes more than {limit}") from None
        finally:
            timer.cancel()
    return answers


class _RunLock:
    """Many run at a time, or one alone, which those who come later wait for."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running = self._waiting = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting)
            self._running += 1
        try:
            yield
        finally:
            with self._changed:
                self._running -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._waiting += 1
            try:
                self._changed.wait_for(lambda: not self._running)
                yield
            finally:
                self._waiting -= 1
                self._changed.notify_all()


_TURNS = _RunLock()


def _empty_arena(
    session: onnxruntime.InferenceSession, outputs: Sequence[str], inputs: Mapping[str, Shaped[np.ndarray, "..."]]
) -> None:
    """Gives back what the arena keeps for later, in pieces that may be too small for what comes next.

    That is done at the end of a run which asks for it, also of one that stops before its first node.
    """
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    options.terminate = True
    with suppress(Exception):  # what a stopped run raises
        session.run(outputs, inputs, options)


class OutOfRoom(Exception):  # noqa: N818 - it may fit with fewer images
    """A run needs more bytes than `room()`."""
