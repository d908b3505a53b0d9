"""One prediction from a cold start: `eyespot predict` beside a script that uses Keras on PyTorch.

Each round starts both once, as new processes, in turn; the labels must agree. Prints the median seconds of each and the
median ratio with its range.

    python benchmarks/cold_start.py runs/digits-cnn-1 seven.png --rounds 7
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

KERAS = """
import sys, json, keras, numpy as np
from PIL import Image
model = keras.saving.load_model(sys.argv[1])
_, height, width, channels = model.input_shape
picture = Image.open(sys.argv[2]).convert("L" if channels == 1 else "RGB").resize((width, height), Image.LANCZOS)
pixels = np.asarray(picture, np.uint8).reshape(1, height, width, channels)
print(int(model(pixels)[0].argmax()))
"""


def timed(command: list[str]) -> tuple[float, str]:
    """Seconds from start to exit, and what was printed last."""
    started = time.perf_counter()
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "KERAS_BACKEND": "torch"}
    )
    return time.perf_counter() - started, done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Runs the rounds and prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    ours = [sys.executable, "-m", "eyespot", "predict", str(arguments.run), str(arguments.picture), "--json"]
    theirs = [sys.executable, "-c", KERAS, str(arguments.run / "model.keras"), str(arguments.picture)]
    metrics = json.loads((arguments.run / "metrics.json").read_text(encoding="utf-8"))
    names = list(metrics["test"]["report"]["classes"])
    rounds = []
    for _ in range(arguments.rounds):
        (fast, answer), (slow, index) = timed(ours), timed(theirs)
        assert json.loads(answer)[0]["label"] == names[int(index)]
        rounds.append((fast, slow))
    ratios = [slow / fast for fast, slow in rounds]
    fast, slow = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"eyespot predict {fast:.2f} s, Keras on PyTorch {slow:.2f} s (medians of {len(rounds)})")
    print(f"ratio {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
