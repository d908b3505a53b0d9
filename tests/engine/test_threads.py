"""Several threads on one model, and on several: every answer is the one that a single thread gets."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from eyespot.backend import keras
from eyespot.engine.accelerate import accelerate
from eyespot.engine.lowered_program import LoweredProgram, WeightsLock
from eyespot.engine.stage import Pass, PassContext
from tests.engine.compare import DEVICE, compiled

layers = keras.layers
THREADS = 8
SHAPE = (12, 12, 2)


@pytest.fixture(autouse=True)
def restless() -> Iterator[None]:
    """Threads change over as often as they can."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


class Doubled(keras.Layer):
    def call(self, x: Any) -> Any:
        return 2 * x


def convolutional(x: Any) -> Any:
    x = layers.MaxPooling2D(2)(layers.Conv2D(8, 3, activation="leaky_relu")(x))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(8, 3)(x)))
    return layers.Dropout(0.3)(layers.Flatten()(layers.AveragePooling2D(2, padding="same")(x)))


def dense(x: Any) -> Any:
    x = layers.Flatten()(x)
    for activation in ("relu", "tanh", "gelu"):
        x = layers.Dense(24, activation=activation)(x)
    return x


def branches(x: Any) -> Any:
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    side = layers.DepthwiseConv2D(3, padding="same")(layers.ZeroPadding2D(0)(x))
    x = layers.Concatenate()([layers.Add()([x, side]), x * side])
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    return layers.GlobalMaxPooling2D()(layers.Multiply()([x, gate]))


def of_keras(x: Any) -> Any:
    x = Doubled()(layers.LayerNormalization()(layers.Conv2D(6, 3)(x)))
    return layers.GRU(6)(layers.Reshape((10, 60))(x))


BODIES = {"convolutional": convolutional, "dense": dense, "branches": branches, "of Keras's layers": of_keras}


def network(body: Callable[[Any], Any], rate: float = 0.05) -> keras.Model:
    keras.utils.set_random_seed(1)
    start = keras.Input(SHAPE)
    model = keras.Model(start, layers.Dense(4, activation="softmax")(body(start)))
    model.compile(keras.optimizers.SGD(rate, momentum=0.9), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def batches(size: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures and labels of their own for each thread."""
    draws = [np.random.default_rng(seed) for seed in range(THREADS)]
    return [(3 * draw.normal(size=(size, *SHAPE)).astype("float32"), draw.integers(0, 4, size)) for draw in draws]


def at_once(work: Callable[[int], Any], times: int) -> list[Any]:
    """What threads that begin together get, the `i`-th piece of work about the `i % THREADS`-th batch."""
    ready = threading.Barrier(THREADS)
    with ThreadPoolExecutor(THREADS, initializer=ready.wait) as pool:
        return list(pool.map(lambda number: work(number % THREADS), range(times)))


def wrong(found: list[Any], expected: list[Any]) -> int:
    """How many answers are not those of a single thread."""
    near = [np.allclose(answer, expected[i % THREADS], rtol=1e-4, atol=1e-5) for i, answer in enumerate(found)]
    return len(near) - sum(near)


@pytest.mark.parametrize("times", [64, pytest.param(1_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("kernels", ["fused", "unfused"])
@pytest.mark.parametrize("name", BODIES)
def test_predictions_are_those_of_a_single_thread(
    name: str, kernels: str, precision: str, times: int, monkeypatch: pytest.MonkeyPatch
):
    """Of predictions by threads that each have their own picture, none is another picture's."""
    if kernels == "unfused":
        monkeypatch.setattr("eyespot.engine.lowered_program.kernels_for", lambda _: None)
    model = accelerate(network(BODIES[name]), precision)
    pictures = [x for x, _ in batches(1)]
    expected = [model.predict_on_batch(x) for x in pictures]
    assert wrong(at_once(lambda i: model.predict_on_batch(pictures[i]), times), expected) == 0


@pytest.mark.parametrize("name", BODIES)
def test_all_that_predicts_may_run_at_once(name: str):
    """`predict`, `evaluate`, `predict_on_batch` and calls of a model, at once, have the answers of a single thread."""
    model, data = accelerate(network(BODIES[name]), "float32"), batches(16)
    ways: list[Callable[[int], Any]] = [
        lambda i: model.predict(data[i][0], batch_size=8, verbose=0),
        lambda i: model.predict_on_batch(data[i][0]),
        lambda i: keras.ops.convert_to_numpy(model(data[i][0])),
        lambda i: model.evaluate(*data[i], batch_size=8, verbose=0),
    ]
    # Each thread's way changes from one piece of work to the next.
    work = [(way, i) for _ in range(2) for way in ways for i in range(THREADS)]
    expected = [way(i) for way, i in work[: len(ways) * THREADS]] * 2
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda one: one[0](one[1]), work))
    assert sum(not np.allclose(*pair, rtol=1e-4, atol=1e-5) for pair in zip(found, expected, strict=True)) == 0


@pytest.mark.parametrize("name", BODIES)
def test_gradients_are_those_of_a_single_thread(name: str):
    """Passes of training that run at once through one program have each its own gradients and loss."""
    program, data = LoweredProgram(compiled(network(BODIES[name]))), batches(4)

    def gradients(i: int) -> np.ndarray:
        passing = Pass(PassContext(training=True, seed=i))
        with torch.no_grad():
            images, labels = (torch.tensor(array, device=DEVICE) for array in data[i])
            judged = program.gradients(images, labels, passing)
        found = [passing.gradients[parameter].flatten() for parameter in program.parameters]
        return torch.cat([judged.loss[None].float(), *found]).cpu().numpy()

    expected = [gradients(i) for i in range(THREADS)]
    assert wrong(at_once(gradients, 64), expected) == 0


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_predictions_beside_a_training_are_those_of_some_step(precision: str):
    """What is predicted while another thread trains is the answer before or after one of its steps."""
    (x, y), steps = batches(16)[0], 20
    alone, model = (accelerate(network(convolutional, 0.02), precision) for _ in range(2))
    keras.utils.set_random_seed(2)
    allowed = [alone.predict_on_batch(x)]
    for _ in range(steps):
        alone.train_on_batch(x, y)
        allowed.append(alone.predict_on_batch(x))
    found: list[np.ndarray] = []
    trained = threading.Event()

    def predict() -> None:
        while not trained.is_set():
            found.append(model.predict_on_batch(x))

    keras.utils.set_random_seed(2)
    threads = [threading.Thread(target=predict) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(steps):
        model.train_on_batch(x, y)
    trained.set()
    for thread in threads:
        thread.join()
    distances = [min(float(np.abs(answer - one).max()) for one in allowed) for answer in found]
    assert sum(distance > 1e-3 for distance in distances) == 0
    assert model.predict_on_batch(x) == pytest.approx(allowed[-1], abs=1e-3)


def test_models_may_be_trained_at_once():
    """Models that are trained in threads of their own end where they end alone."""
    names, data = [*BODIES] * 2, [(x / 9, y) for x, y in batches(8)]

    def trained(i: int) -> list[np.ndarray]:
        model = models[i]
        for _ in range(4):
            model.train_on_batch(*data[i])
        weights: list[np.ndarray] = model.get_weights()
        return weights

    def made() -> list[keras.Model]:
        found = [network(BODIES[name], 0.01) for name in names]
        for model in found:
            for layer in model.layers:
                if isinstance(layer, layers.Dropout):
                    layer.rate = 0  # every training would draw its masks' seed from one generator
        return [accelerate(model, "float32") for model in found]

    models = made()
    expected = [trained(i) for i in range(THREADS)]
    models = made()
    for mine, alone in zip(at_once(trained, THREADS), expected, strict=True):
        for ours, theirs in zip(mine, alone, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)


def test_steps_of_one_training_wait_for_one_another():
    """Threads that train one model by one batch end where a single one ends that makes all their steps."""
    x, y = batches(8)[0]
    ours, alone = (accelerate(network(dense, 0.005), "float32") for _ in range(2))
    at_once(lambda _: ours.train_on_batch(x, y), 24)
    for _ in range(24):
        alone.train_on_batch(x, y)
    assert int(ours.optimizer.iterations) == 24
    for mine, theirs in zip(ours.get_weights(), alone.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("change", ["weights", "compile"])
def test_threads_that_meet_a_changed_model_have_its_new_answers(change: str):
    """Where several threads are the first to see other weights, or a new compilation, all see the same."""
    model, pictures = accelerate(network(convolutional), "bfloat16"), [x for x, _ in batches(1)]
    for scale in np.linspace(0.5, 2, 6):
        model.set_weights([scale * weight for weight in model.get_weights()])
        if change == "compile":
            model.compile("adam", "sparse_categorical_crossentropy")
        found = at_once(lambda i: model.predict_on_batch(pictures[i]), THREADS)
        assert wrong(found, [model.predict_on_batch(x) for x in pictures]) == 0


LOOPS = """
import numba, numpy as np
from concurrent.futures import ThreadPoolExecutor
from eyespot.engine.kernels.cpu.channel_moments import moments
rows = np.random.default_rng(0).random((5000, 8), np.float32)
mean = moments(rows, 16)[0]
with ThreadPoolExecutor(8) as pool:
    assert all((one[0] == mean).all() for one in pool.map(lambda _: moments(rows, 16), range(200)))
print(numba.threading_layer())
"""


def test_compiled_loops_run_at_once_where_openmp_is_missing(monkeypatch: pytest.MonkeyPatch):
    """Numba's own threads, which are used on a Mac without OpenMP, do not end the process at a second loop."""
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "workqueue")
    done = subprocess.run([sys.executable, "-c", LOOPS], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "workqueue"), done.stderr


LOOPS_ON_ONE_THREAD = """
import numpy as np
from eyespot.engine.kernels.cpu.channel_moments import moments
import numba, torch
moments(np.zeros((9, 8), np.float32), 16)
print(torch.get_num_threads(), numba.get_num_threads())
"""


def test_compiled_loops_keep_the_number_of_threads(monkeypatch: pytest.MonkeyPatch):
    """Who asks for one thread of eight gets one: starting Numba's threads gives PyTorch no more."""
    for name, number in (("OMP_NUM_THREADS", "1"), ("NUMBA_NUM_THREADS", "8")):
        monkeypatch.setenv(name, number)
    done = subprocess.run([sys.executable, "-c", LOOPS_ON_ONE_THREAD], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "1 1"), done.stderr


def test_a_thread_may_take_a_turn_within_its_turn():
    """Who reads may read again although another waits to change, and who changes may read: nobody waits for himself."""
    turns, order = WeightsLock(), []

    def change() -> None:
        with turns.changing(), turns.reading(), turns.changing():
            order.append("changed")

    with turns.reading():
        waiting = threading.Thread(target=change, daemon=True)
        waiting.start()
        waiting.join(0.2)
        with turns.reading():
            order.append("read")
    waiting.join(10)
    assert order == ["read", "changed"]
