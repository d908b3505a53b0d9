"""The main path where Linux's own calls are missing, as on Windows and macOS."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import write_pictures

# Afterwards Python has what it has on Windows; libraries made for this system come first.
TAKE_AWAY = """
import ctypes, multiprocessing, os, shutil, signal, sys, warnings
import numpy, platformdirs, torch

multiprocessing.set_start_method("spawn")
for name in ("fcntl", "grp", "pwd", "resource", "termios", "syslog"):
    sys.modules[name] = None  # importing it fails
for name in (
    "fork", "forkpty", "register_at_fork", "sched_getaffinity", "geteuid", "getuid", "uname", "fchmod", "fchown",
    "posix_fallocate", "posix_fadvise", "sendfile", "sync", "O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC",
):
    delattr(os, name)
for name in ("SIGKILL", "SIGHUP", "SIGALRM", "SIGUSR1", "SIGCHLD", "alarm", "setitimer", "pthread_sigmask"):
    delattr(signal, name)

ON_WINDOWS = {signal.SIGABRT, signal.SIGFPE, signal.SIGILL, signal.SIGINT, signal.SIGSEGV, signal.SIGTERM}
set_handler, open_file, load_library = signal.signal, os.open, ctypes.CDLL
O_BINARY = os.O_BINARY = 0x8000  # a flag that changes nothing on Linux; writing asks for it
unmarked = []


def handle(number, handler):
    if number not in ON_WINDOWS:
        raise ValueError("invalid signal value")
    return set_handler(number, handler)


def open_as_windows(path, flags, *arguments, **named):
    if os.path.isdir(path):
        raise PermissionError(13, "Permission denied", path)
    in_a_run = str(path).startswith(sys.argv[2]) and not str(path).endswith(".lock")
    if in_a_run and flags & os.O_WRONLY and not flags & O_BINARY:
        unmarked.append(str(path))  # Windows would write a carriage return before each line feed
    return open_file(path, flags, *arguments, **named)


class Library(load_library):
    def __init__(self, name, *arguments, **named):
        if name is None:
            raise TypeError("LoadLibrary() argument 1 must be str, not None")
        super().__init__(name, *arguments, **named)


def refuse(*_, **__):
    raise OSError(1314, "A required privilege is not held by the client")


def refuse_links(*_, **__):
    raise NotImplementedError("link: follow_symlinks unavailable on this platform")


signal.signal, os.open, ctypes.CDLL, os.symlink, os.link = handle, open_as_windows, Library, refuse, refuse_links
shutil._use_fd_functions = False  # it would open folders
warnings.filterwarnings("error", category=EncodingWarning, module="eyespot")
"""

MAIN_PATH = """
import json
from pathlib import Path

import eyespot


class CtrlC:
    def on_step(self, step):
        if step.step == 3:
            signal.raise_signal(signal.SIGINT)

    def on_epoch(self, row):
        pass


pictures, folder = Path(sys.argv[1]), Path(sys.argv[2])
first = eyespot.train("digits", output=folder / "digits", epochs=1, observers=[CtrlC()])
eyespot.train(resume=first.run)
eyespot.train(pictures, output=folder / "pictures", epochs=1, model="mlp")
runs = [eyespot.open_run(folder / name) for name in ("digits", "pictures")]
print(json.dumps({
    "first": first.outcome.ending,
    "epochs": [len(run.history) for run in runs],
    "layers": [len(run.model().layers) for run in runs],
    "predictions": [len(eyespot.predict(run, pictures / "test")) for run in runs],
    "unmarked": unmarked,
    "processes": multiprocessing.get_start_method(),
}))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="takes away what Linux has")
def test_the_main_path_needs_no_call_of_linux_alone(tmp_path: Path):
    """Training, interruption, resuming, opening and predicting work without fork, fcntl, links and glibc."""
    write_pictures(tmp_path / "bars")
    # The default encoding is ASCII, and is never relied on.
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNDEFAULTENCODING": "1"}
    environment = {**os.environ, **ascii_only, "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONIOENCODING": "cp1252"}
    process = subprocess.run(
        [sys.executable, "-c", TAKE_AWAY + MAIN_PATH, tmp_path / "bars", tmp_path],
        capture_output=True, text=True, encoding="cp1252", env=environment, cwd=Path(__file__).parent.parent,
        check=False,
    )  # fmt: skip
    assert process.returncode == 0, process.stderr
    answers = json.loads(process.stdout.splitlines()[-1])
    assert answers.pop("first") == "interrupted"
    assert min(answers.pop("layers")) > 1
    assert answers == {"epochs": [1, 1], "predictions": [15, 15], "unmarked": [], "processes": "spawn"}
