"""Training speed of the tutorials' networks: eyespot beside Keras on three backends and plain PyTorch.

Everything runs on the processor, or with `--gpu` on a GPU.

Each network is trained at its own batch size by every peer, each in a process of its own. Processes stay alive, asleep,
while others are timed, so that rounds interleave: A B C, C B A, A B C … An epoch is timed as Keras's `fit` has it, from
its begin to its end, with shuffling, loss and accuracy, after a warm-up. All peers start from the same weights and must
predict the same.

    python benchmarks/training.py    # in an environment with the extra `bench`: CONTRIBUTING.md
    python benchmarks/training.py --networks fashion-cnn --peers eyespot keras-tensorflow --rounds 3 --predict
    python benchmarks/training.py --gpu --networks fashion-cnn-dropout --steps 937 --epochs 20 --rounds 3
    python benchmarks/training.py --smoke    # whether it runs: two steps of one network, two peers

Columns: pictures a second (median of the rounds); how many times as fast eyespot is (median and range of the rounds'
ratios); the most memory resident; what the first step takes beyond a usual one, compilation included (Numba's is kept
on disk: `--cold` looks away). The floor is the network's convolutions and matrix products alone.
"""

import argparse
import json
import math
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from harness import PeerError, parse_arguments, run_benchmark
from training_networks import EXTRA, NETWORKS, PREDICTED, TRAINED, write_job
from training_peers import PEERS, hide_all_but

import eyespot
from eyespot.engine.hardware import dtype_for
from eyespot.environment import describe_environment
from eyespot.models.architectures import ARCHITECTURES

HERE = Path(__file__).parent
SETTLE = 0.25  # seconds between two turns: threads of the one before go to sleep
WARM_UP = (5, 10)  # steps; the last of them tells how many fill ROUND
ROUND = 1.0  # seconds
# Of the probabilities' standard deviation: rounding to bfloat16 moved them by 0.03, transposed pictures by 0.6.
TOLERANCE = 0.25
BUSY = 0.05  # of a core, while asleep: more disturbs the others
FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16")
PACKAGES = ("tensorflow-cpu", "tensorflow", "jax", "numba")
# What a peer's process finds; JAX would take most of a GPU's memory from the others.
ON_PROCESSOR = {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
ON_GPU = {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}

SMOKE = {"networks": ["mnist-mlp-one-hidden"], "peers": ["eyespot", "torch"], "predict": True}
SMOKE |= {"rounds": 1, "steps": 2, "trained": 1_280, "predicted": 64}


class Worker:
    """A peer's process."""

    def __init__(self, peer: str, job: Path, *, cold: bool, gpu: bool) -> None:
        environment = {"KERAS_BACKEND": PEERS[peer].backend, **(ON_GPU if gpu else ON_PROCESSOR)}
        if cold:
            environment["NUMBA_CACHE_DIR"] = str(job / f"numba-{peer}")
        self.peer, self.network, self.errors = peer, job.name, job / f"{peer}.log"
        self.idle_since, self.busiest = math.inf, 0.0
        with self.errors.open("w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [sys.executable, str(HERE / "training_peers.py"), peer, str(job)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
                env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
            )  # fmt: skip
        assert self.process.stdin
        assert self.process.stdout
        self.requests, self.answers = self.process.stdin, self.process.stdout

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            PeerError: the process has ended.
        """
        idle = time.perf_counter() - self.idle_since
        with suppress(BrokenPipeError):
            self.requests.write(json.dumps({"do": do, **request}) + "\n")
            self.requests.flush()
        answer = self.listen()
        if idle > SETTLE:
            self.busiest = max(self.busiest, answer["idle_cpu"] / idle)
        self.idle_since = time.perf_counter()
        return answer

    def listen(self) -> dict[str, Any]:
        """Wait for the next answer.

        Raises:
            PeerError: the process has ended.
        """
        if line := self.answers.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        lines = self.errors.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        raise PeerError(
            f"{self.peer} failed on {self.network}: {lines[-1] if lines else f'exit code {self.process.wait()}'}"
        )

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self.requests.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def main() -> None:
    """Measure and print; a peer that fails ends the benchmark with exit code 1."""
    arguments = parsed()
    peers, left_out = installed(arguments.peers, "cuda" if arguments.gpu else "cpu")
    peers = [peer for peer in peers if arguments.predict or "train" in PEERS[peer].has]
    hide_all_but("torch")
    of_machine, of_packages = machine(), versions()
    networks: dict[str, Any] = {}
    record = {"date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": of_machine, "versions": of_packages}
    record |= {"rounds": arguments.rounds, "steps": arguments.steps, "epochs": arguments.epochs}
    record |= {"cold": arguments.cold, "gpu": arguments.gpu}
    record |= {"data": "real" if os.environ.get("EYESPOT_DATA") else "random", "left_out": left_out}
    record |= {"networks": networks}

    def say(text: str) -> None:
        if not arguments.json:
            print(text, flush=True)

    say("{processor}, {cores} cores; auto is {auto} here".format(**of_machine))
    if arguments.gpu:
        say(f"On the GPU: {of_machine['device']}")
    say(", ".join(f"{name} {number}" for name, number in of_packages.items()))
    say("Images: the real sets." if record["data"] == "real" else "Images: random pixels; EYESPOT_DATA is not set.")
    if left_out:
        say("Left out: " + "; ".join(f"{name} ({why})" for name, why in left_out.items()) + ".")
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.networks:
            job = write_job(name, Path(folder), arguments.trained, arguments.predicted)
            networks[name] = measured(name, job, peers, arguments)
            say(table(name, networks[name], arguments.predicted))
    if arguments.json:
        print(json.dumps(record, indent=1))
    if arguments.save:
        say(f"Written: {saved(record)}")


def parsed() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    known = [name for name in {**NETWORKS, **EXTRA} if name in ARCHITECTURES]
    tutorials = [name for name in NETWORKS if name in ARCHITECTURES]
    parser.add_argument(
        "--networks", nargs="+", choices=known, default=tutorials, metavar="NAME", help=", ".join(known)
    )
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS), metavar="NAME", help=", ".join(PEERS))
    parser.add_argument("--gpu", action="store_true", help="on the GPU instead of the processor")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=1, help="epochs a round, each of all its steps (default: 1)")
    parser.add_argument(
        "--steps", type=int, help=f"timed steps an epoch; by default {ROUND:g} s of them: at least 10, at most an epoch"
    )
    parser.add_argument("--predict", action="store_true", help=f"also time predictions of {PREDICTED:,} pictures")
    parser.add_argument("--cold", action="store_true", help="without what Numba compiled before")
    parser.add_argument("--json", action="store_true", help="print one JSON document instead of tables")
    parser.add_argument("--save", action="store_true", help="also write benchmarks/results/<date>-<machine>.json")
    parser.set_defaults(trained=TRAINED, predicted=PREDICTED)
    arguments = parse_arguments(parser, **SMOKE)
    if arguments.gpu and not torch.cuda.is_available():
        parser.error("--gpu: PyTorch finds no GPU here")
    return arguments


def installed(peers: Sequence[str], device: str) -> tuple[list[str], dict[str, str]]:
    """The peers that can run here on a kind of device, and why others cannot."""
    left_out = {}
    for name in peers:
        missing = [module for module in PEERS[name].needs if not find_spec(module)]
        if device not in PEERS[name].devices:
            left_out[name] = f"it does not run on {device}"
        elif missing:
            left_out[name] = f"{missing[0]} is not installed"
        elif name == "eyespot-fit" and not hasattr(eyespot, "accelerate"):
            left_out[name] = "eyespot has no accelerate"
    return [name for name in peers if name not in left_out], left_out


def measured(name: str, job: Path, peers: Sequence[str], arguments: argparse.Namespace) -> dict[str, Any]:
    """All peers on one network."""
    settings = json.loads((job / "job.json").read_text(encoding="utf-8"))
    epoch = len(np.load(Path(settings["data"]) / "labels.npy", mmap_mode="r")) // settings["batch"]
    workers: dict[str, Worker] = {}
    with ExitStack() as stack:
        for peer in peers:
            print(f"{name}: {peer} starts", file=sys.stderr)
            workers[peer] = Worker(peer, job, cold=arguments.cold, gpu=arguments.gpu)
            stack.callback(workers[peer].close)
        # All import at the same time, and nothing is timed before all are ready.
        results = {peer: worker.listen() for peer, worker in workers.items()}
        for peer, worker in workers.items():
            results[peer] |= started(worker, arguments, epoch)
        for do, key in (("train", "seconds"), ("predict", "predict_seconds")):
            able = [worker for worker in workers.values() if key in results[worker.peer]]
            for number in range(arguments.rounds):
                for worker in able[:: -1 if number % 2 else 1]:
                    turn(worker, do, results[worker.peer], key, arguments.epochs)
        check(workers, np.load(job / "expected.npy"))
        for peer, worker in workers.items():
            results[peer]["idle_cpu"] = round(worker.busiest, 3)
    summarize(results, settings["batch"] * arguments.epochs)
    return {key: settings[key] for key in ("batch", "optimizer", "parameters")} | {"peers": results}


def started(worker: Worker, arguments: argparse.Namespace, epoch: int) -> dict[str, Any]:
    """The first step, the warm-up, and how many steps a round has."""
    result: dict[str, Any] = {"first_step_seconds": worker.ask("start")["seconds"]}
    if "train" in PEERS[worker.peer].has:
        for steps in WARM_UP:
            answer = worker.ask("train", steps=steps)
        steps = arguments.steps or max(WARM_UP[-1], round(ROUND * WARM_UP[-1] / answer["seconds"]))
        result |= {"steps": min(epoch, steps), "seconds": []}
    if "predict" in PEERS[worker.peer].has and arguments.predict:
        result["predict_seconds"] = []
    return result


def turn(worker: Worker, do: str, result: dict[str, Any], key: str, epochs: int) -> None:
    """One round of one peer."""
    time.sleep(SETTLE)
    if do == "predict" and not result[key]:
        worker.ask(do)  # warm-up
    answer = worker.ask(do, steps=result.get("steps"), epochs=epochs)
    result[key].append(answer["seconds"])
    if do == "train":
        result["peak_mib"] = answer["peak_mib"]


def check(workers: dict[str, Worker], expected: np.ndarray) -> None:
    """With the first weights again, every peer must give the probabilities that Keras on PyTorch gives.

    Raises:
        PeerError: one gives others.
    """
    for peer, worker in workers.items():
        if "predict" in PEERS[peer].has:
            probabilities = np.array(worker.ask("check")["probabilities"])
            furthest = np.abs(probabilities - expected).max() / expected.std()
            if not furthest < TOLERANCE:
                raise PeerError(f"{peer} predicts something else ({furthest:.2f} standard deviations)")


def summarize(results: dict[str, dict[str, Any]], batch: int) -> None:
    """Adds what the table shows."""
    ours = results.get("eyespot", {})
    for result in results.values():
        if seconds := result.get("seconds"):
            speeds = [result["steps"] * batch / one for one in seconds]
            result["images_per_second"] = statistics.median(speeds)
            result["start_seconds"] = result["first_step_seconds"] - statistics.median(seconds) / result["steps"]
            if "seconds" in ours:
                step = [one / ours["steps"] for one in ours["seconds"]]
                result["ratio"] = ratio([one / result["steps"] for one in seconds], step)
        if result.get("predict_seconds") and ours.get("predict_seconds"):
            result["predict_ratio"] = ratio(result["predict_seconds"], ours["predict_seconds"])


def ratio(theirs: Sequence[float], ours: Sequence[float]) -> dict[str, float]:
    """How many times as fast eyespot is, round by round."""
    ratios = [their / our for their, our in zip(theirs, ours, strict=True)]
    return {"median": statistics.median(ratios), "min": min(ratios), "max": max(ratios)}


def table(name: str, result: dict[str, Any], predicted: int) -> str:
    """Return a network's figures as text."""
    width = max(len(entry.label) for entry in PEERS.values())
    lines = [f"\n{name}: {result['parameters']:,} parameters, batch {result['batch']}, {result['optimizer']}"]
    times = "eyespot is, times" if "eyespot" in result["peers"] else ""
    lines.append(f"{'':{width}}  {'images/s':>9}  {times:>20}  {'peak MiB':>8}  {'start s':>7}")
    predictions = [f"{'':{width}}  {predicted:,} predictions, s"]
    for peer, one in result["peers"].items():
        label = f"{PEERS[peer].label:{width}}"
        if "images_per_second" in one:
            lines.append(
                f"{label}  {one['images_per_second']:9,.0f}  {spread(one.get('ratio')):>20}  {one['peak_mib']:8,.0f}  "
                f"{one['start_seconds']:7.2f}"
            )
        if one.get("predict_seconds"):
            seconds = statistics.median(one["predict_seconds"])
            predictions.append(f"{label}  {seconds:9.3f}  {spread(one.get('predict_ratio')):>20}")
        if one.get("idle_cpu", 0) > BUSY:
            lines.append(f"  {peer} used {one['idle_cpu']:.0%} of a core while it should sleep")
    return "\n".join(lines + (predictions if len(predictions) > 1 else []))


def spread(ratio: dict[str, float] | None) -> str:
    """A ratio with its range."""
    return f"{ratio['median']:.2f} ({ratio['min']:.2f}-{ratio['max']:.2f})" if ratio else ""


def machine() -> dict[str, Any]:
    """The processor, as far as speed depends on it."""
    environment = describe_environment()
    listing = Path("/proc/cpuinfo")
    has = set(listing.read_text(encoding="utf-8").split()) if listing.exists() else set()
    kept = {key: environment[key] for key in ("processor", "cores", "torch_threads", "device")}
    auto = str(dtype_for("auto")).removeprefix("torch.")
    return kept | {"system": platform.system(), "flags": [flag for flag in FLAGS if flag in has], "auto": auto}


def versions() -> dict[str, str]:
    """Of everything that runs; of eyespot also the commit."""
    environment = describe_environment()
    found = {"python": environment["python"]}
    found |= {name: environment["packages"][name] for name in ("eyespot", "keras", "torch", "onnxruntime")}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    if git := shutil.which("git"):
        command = [git, "-C", str(HERE), "describe", "--always", "--dirty"]
        found["commit"] = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    return found


def saved(record: dict[str, Any]) -> Path:
    """Writes the record below `results`."""
    words = re.findall(r"[a-z0-9]+", record["machine"]["processor"].lower().replace("(r)", "").replace("(tm)", ""))
    path = HERE / "results" / f"{record['date']}-{'-'.join(words)}-{record['machine']['cores']}-cores.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return path.relative_to(HERE.parent)


if __name__ == "__main__":
    run_benchmark(main)
