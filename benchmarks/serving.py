"""Serving: cold start, single-picture requests and bulk prediction, beside what users would write with Keras.

    eyespot export RUN --format onnx-int8
    EYESPOT_DATA=… python benchmarks/serving.py RUN    # with the extras `serve` and `bench`
    python benchmarks/serving.py --smoke    # whether it runs: a run on the digits, one short round, Keras on PyTorch

Every figure comes from processes that alternate, A B C, C B A, …, in one run; all must give the same label, and of the
bulk predictions the labels are compared one by one.

- cold start: from the start of a process to its first answer, for `eyespot predict`, `eyespot serve` (over HTTP), and a
  script that loads the `.keras` file and calls `predict`.
- requests: one PNG a request, by 1 and by 8 clients that ask without pause, to `eyespot serve` and to a plain FastAPI
  endpoint around Keras, which calls `predict` as tutorials do, or `predict_on_batch`, which is faster. Clients and
  servers share the machine's cores.
- bulk: 10,000 pictures of the run's test set in memory, to probabilities.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from http.client import HTTPConnection
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

import numpy as np
from harness import parse_arguments, run_benchmark, train_run
from PIL import Image
from training import machine, ratio, spread, versions

import eyespot

HERE = Path(__file__).parent
PREDICTED = 10_000
CLIENTS = (1, 8)
PARTS = ("cold", "requests", "bulk")
ENDPOINTS = ("predict", "predict_on_batch")
START = 60.0  # seconds in which a server must answer
SETTLE = 0.3  # seconds between two turns
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
INT8 = Path("exports/onnx-int8/model.onnx")
PEERS = str(HERE / "serving_peers.py")
SMOKE = {"rounds": 1, "seconds": 0.3, "backend": "torch", "endpoints": ("predict",), "clients": (2,)}
Turn = Callable[[], Any]


def main() -> None:
    """Measure, print, and write JSON where asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4, help="of requests a turn")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--backend", default="tensorflow", help="of Keras")
    parser.add_argument("--save", action="store_true", help="also write benchmarks/results/<date>-serving.json")
    parser.set_defaults(endpoints=ENDPOINTS, clients=CLIENTS)
    arguments = parse_arguments(parser, **SMOKE)
    if not (arguments.run or arguments.smoke):
        parser.error("a run is needed: what `eyespot train` leaves behind")
    if not find_spec(arguments.backend):
        sys.exit(f"serving.py: {arguments.backend} is not installed: choose another --backend for Keras")
    if not find_spec("fastapi"):
        print("FastAPI is not installed, so nothing is asked of it: pip install 'eyespot[bench]'")
        arguments.endpoints = ()
    with tempfile.TemporaryDirectory() as folder:
        measure(
            eyespot.open_run(arguments.run) if arguments.run else train_run(Path(folder) / "run"),
            Path(folder),
            arguments,
        )


def measure(run: eyespot.Run, folder: Path, arguments: argparse.Namespace) -> None:
    """Measure one run, whose pictures are written into a folder."""
    QUIET["KERAS_BACKEND"] = arguments.backend  # eyespot has set its own
    record: dict[str, Any] = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine(), "versions": versions()}
    record |= {"model": run.recipe.name or run.recipe.model.name, "backend": arguments.backend}
    record |= {"rounds": arguments.rounds, "seconds": arguments.seconds}
    label = write_pictures(run, folder)
    if "cold" in arguments.parts:
        record["cold"] = cold_starts(run.path, folder / "one.png", label, arguments.rounds)
    if "requests" in arguments.parts:
        record["requests"] = requests(run.path, folder / "one.png", label, arguments)
    if "bulk" in arguments.parts:
        record["bulk"] = bulk(run.path, folder, arguments.rounds)
    if arguments.save:
        path = HERE / "results" / f"{record['date']}-serving.json"
        path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        print(f"Written: {path.relative_to(HERE.parent)}")


def write_pictures(run: eyespot.Run, folder: Path) -> str:
    """Write test images for the peers: all as arrays, one that is read right as a PNG, whose label is returned."""
    dataset = eyespot.load(run.recipe.dataset)
    assert dataset.test is not None
    images, labels = np.asarray(dataset.test.images[:PREDICTED]), dataset.test.labels[:PREDICTED]
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    right = int((run.predictor().probabilities(images[:100]).argmax(axis=1) == labels[:100]).argmax())
    Image.fromarray(images[right].squeeze()).save(folder / "one.png")
    return dataset.class_names[int(labels[right])]


def alternated(turns: dict[str, Turn], rounds: int) -> dict[str, list[Any]]:
    """What each turn gave, round by round, in an order that changes ends."""
    given: dict[str, list[Any]] = {name: [] for name in turns}
    for number in range(rounds):
        for name in list(turns)[:: -1 if number % 2 else 1]:
            time.sleep(SETTLE)
            given[name].append(turns[name]())
    return given


def cold_starts(run: Path, picture: Path, label: str, rounds: int) -> dict[str, Any]:
    """Seconds from the start of a process to its first answer."""

    names = eyespot.open_run(run).predictor().class_names

    def predicted() -> float:
        seconds, answer = timed([sys.executable, "-m", "eyespot", "predict", str(run), str(picture), "--json"])
        assert json.loads(answer)[0]["label"] == label
        return seconds

    def served() -> float:
        started = time.perf_counter()
        with server(ours(run, port := free_port()), port):
            answer = asked(port, f"/v1/models/{run.resolve().name}/predict", picture)
            seconds = time.perf_counter() - started
        assert answer["predictions"][0]["label"] == label
        return seconds

    def scripted() -> float:
        seconds, answer = timed([sys.executable, PEERS, "script", str(run / "model.keras"), str(picture)])
        assert names[int(answer)] == label
        return seconds

    seconds = alternated({"eyespot predict": predicted, "eyespot serve": served, "keras script": scripted}, rounds)
    print("\nCold start to the first answer, s (medians), and how many times as long the Keras script takes")
    result = {}
    for name, taken in seconds.items():
        faster = ratio(seconds["keras script"], taken)
        result[name] = {"seconds": taken, "ratio": faster}
        print(f"{name:32} {statistics.median(taken):9.2f}  {spread(faster):>20}")
    return result


def requests(run: Path, picture: Path, label: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Requests a second, and what they wait."""
    names = eyespot.open_run(run).predictor().class_names
    result: dict[str, Any] = {}
    with ExitStack() as stack:
        port = free_port()
        stack.enter_context(server(ours(run, port), port))
        urls = {"eyespot serve": f"http://127.0.0.1:{port}/v1/models/{run.resolve().name}/predict"}
        for way in arguments.endpoints:
            port = free_port()
            command = [sys.executable, PEERS, "endpoint", str(run / "model.keras"), str(port)]
            stack.enter_context(server([*command, way], port))
            urls[f"fastapi + keras {way}"] = f"http://127.0.0.1:{port}/predict"
        for clients in arguments.clients:
            turns = {name: loaded(url, picture, clients, arguments.seconds) for name, url in urls.items()}
            rounds = alternated(turns, arguments.rounds)
            for name, answers in rounds.items():
                answer = answers[-1]["answer"]
                predict = answer["predictions"][0]["label"] if name == "eyespot serve" else names[answer["label"]]
                assert predict == label, f"{name} says {predict} instead of {label}"
            result[str(clients)] = print_requests(rounds, clients)
    return result


def loaded(url: str, picture: Path, clients: int, seconds: float) -> Turn:
    """A turn of requests to one server."""
    command = [sys.executable, str(HERE / "serving_load.py"), url, str(picture), f"--clients={clients}"]

    def turn() -> dict[str, Any]:
        done = subprocess.run([*command, f"--seconds={seconds}"], capture_output=True, text=True, check=True)
        return _parsed(done.stdout)

    return turn


def print_requests(rounds: dict[str, list[dict[str, Any]]], clients: int) -> dict[str, Any]:
    """Print and return the figures of a number of clients."""
    print(f"\n{clients} client{'s' * (clients > 1)}: requests/s, how many times as many eyespot serves, p50 and p99 ms")
    ours_taken = [1 / answer["requests_per_second"] for answer in rounds["eyespot serve"]]
    result = {}
    for name, answers in rounds.items():
        speeds = [answer["requests_per_second"] for answer in answers]
        waits = {key: statistics.median(answer[key] for answer in answers) for key in ("p50_ms", "p95_ms", "p99_ms")}
        faster = ratio([1 / speed for speed in speeds], ours_taken)
        result[name] = {"requests_per_second": speeds, "ratio": faster, **waits}
        figures = f"{spread(faster):>20}  {waits['p50_ms']:8.2f} {waits['p99_ms']:8.2f}"
        print(f"{name:32} {statistics.median(speeds):9,.0f}  {figures}")
    return result


def bulk(run: Path, folder: Path, rounds: int) -> dict[str, Any]:
    """Seconds for many pictures, accuracy, and how many labels are Keras's."""
    labels = np.load(folder / "labels.npy")
    models = {"keras predict": ("keras", run / "model.keras"), "eyespot onnx": ("eyespot", run / "model.onnx")}
    if (run / INT8).exists():
        models["eyespot onnx-int8"] = ("eyespot", run / INT8)
    else:
        print(f"\nonnx-int8 is left out: first run `eyespot export {run} --format onnx-int8`")
    with ExitStack() as stack:
        workers = {name: stack.enter_context(worker(*model, folder / "images.npy")) for name, model in models.items()}
        predicted = {name: np.array(answer(process)["labels"]) for name, process in workers.items()}
        seconds = alternated({name: asking(process) for name, process in workers.items()}, rounds)
    print(f"\n{len(labels):,} pictures, s (medians), how many times as fast as Keras, accuracy, labels as Keras's")
    result = {}
    for name, taken in seconds.items():
        accuracy = float((predicted[name] == labels).mean())
        same = float((predicted[name] == predicted["keras predict"]).mean())
        faster = ratio(seconds["keras predict"], taken)
        result[name] = {"seconds": taken, "ratio": faster, "accuracy": accuracy, "same_labels": same}
        print(f"{name:32} {statistics.median(taken):9.3f}  {spread(faster):>20}  {accuracy:8.2%} {same:8.2%}")
    return result


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds from start to exit, and what was printed last."""
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=QUIET)
    return time.perf_counter() - started, done.stdout.strip().splitlines()[-1]


def asking(process: subprocess.Popen[str]) -> Turn:
    """A turn of a worker."""

    def turn() -> float:
        questions = _opened(process.stdin)
        questions.write("again\n")
        questions.flush()
        return float(answer(process)["seconds"])

    return turn


def answer(process: subprocess.Popen[str]) -> dict[str, Any]:
    """Return the next line that a worker prints."""
    line = _opened(process.stdout).readline()
    assert line, f"a worker ended with {process.wait()}"
    return _parsed(line)


def _opened(stream: IO[str] | None) -> IO[str]:
    """Return a process's stream, which was asked for when it was started."""
    assert stream is not None
    return stream


def _parsed(text: str | bytes) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(text)
    return parsed


@contextmanager
def worker(kind: str, model: Path, pictures: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that classifies pictures whenever it is told to."""
    command = [sys.executable, PEERS, "bulk", kind, str(model), str(pictures)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=QUIET) as process:
        yield process
        _opened(process.stdin).close()


def ours(run: Path, port: int) -> list[str]:
    """The command that serves a run."""
    return [sys.executable, "-m", "eyespot", "serve", str(run), "--port", str(port), "--quiet"]


@contextmanager
def server(command: list[str], port: int) -> Iterator[None]:
    """A server, until it accepts connections; ended afterwards."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=QUIET)
    try:
        until = time.perf_counter() + START
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            assert process.poll() is None, f"{command} ended with {process.returncode}"
            assert time.perf_counter() < until, f"{command} does not answer"
            time.sleep(0.005)
        yield
    finally:
        process.terminate()
        process.wait(timeout=START)


def asked(port: int, path: str, picture: Path) -> dict[str, Any]:
    """Return one answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=START)
    connection.request("POST", path, picture.read_bytes(), {"Content-Type": "image/png"})
    return _parsed(connection.getresponse().read())


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    run_benchmark(main)
