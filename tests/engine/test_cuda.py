"""What runs on a GPU: the kernels' numbers, and steps that never wait.

Triton's interpreter runs the kernels on the processor. TRITON_INTERPRET=0 has the GPU run them: tests/conftest.py.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.engine.epilogue_spec import EpilogueSpec, PoolWindow
from eyespot.engine.hardware import deterministic_kernels
from eyespot.engine.loss import CrossEntropy, cross_entropy
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.engine.stage import Pass, PassContext
from eyespot.engine.steps import DeviceStepRunner, Epoch, HostStepRunner, Mean
from eyespot.models.architectures import build
from tests.engine.compare import DEVICE, agrees, compiled, hows

pytest.importorskip("triton", reason="GPU kernels are tested where Triton is installed: make test-slow installs it")
pytest.importorskip("numba")

from eyespot.engine.stages.epilogue import EpilogueStage
from eyespot.engine.stages.epilogue_cuda import CudaEpilogueStage

layers = keras.layers
TAILS = {
    "activation": EpilogueSpec(slope=0.1),
    "pool": EpilogueSpec(window=PoolWindow(2, 2, 0, 0), output_sides=(4, 3), slope=0.0),
    "pool over the edge": EpilogueSpec(
        window=PoolWindow(3, 2, 1, 1), output_sides=(4, 4), slope=0.2, rate=0.3, index=5
    ),
    "dropout": EpilogueSpec(rate=0.5, index=2),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", TAILS)
def test_a_tail_is_the_processors(name: str, dtype: torch.dtype):
    """Output, mask and gradient of a fused tail are those of the kernels for the processor, but for the last digit.

    Triton's interpreter cuts off where bfloat16 should be rounded.
    """
    draw = torch.Generator().manual_seed(1)
    values = torch.randn((3, 9, 7, 5), generator=draw).to(dtype)
    values[0, 2, 2, 1] = torch.nan
    passing = Pass(PassContext(training=True, seed=3, number=11))
    ours, theirs = CudaEpilogueStage(TAILS[name], None), EpilogueStage(TAILS[name], None)
    output, expected = ours.forward([values.to(DEVICE)], passing), theirs.forward([values], passing)
    tolerance = 1e-6 if dtype == torch.float32 else 2**-7
    torch.testing.assert_close(output.cpu(), expected, rtol=tolerance, atol=0, equal_nan=True)
    arriving = torch.randn(output.shape, generator=draw).to(dtype)
    (found,) = ours.backward(arriving.to(DEVICE), passing, needs_input_gradient=True)
    (wanted,) = theirs.backward(arriving, passing, needs_input_gradient=True)
    assert found is not None
    torch.testing.assert_close(found.cpu(), wanted, rtol=tolerance, atol=0)


@pytest.mark.parametrize(("rows", "classes"), [(5, 3), (130, 10)])
def test_the_loss_is_the_compiled_one(rows: int, classes: int):
    """Loss, accuracy and gradient, over several programs and with columns to spare; clipped rows have no gradient."""
    draw = torch.Generator().manual_seed(2)
    logits = 4 * torch.randn((rows, classes), generator=draw)
    logits[0, 0] = 100
    labels = torch.randint(classes, (rows,), generator=draw)
    logits, labels = logits.to(DEVICE), labels.to(DEVICE)
    ours, theirs = cross_entropy(logits, labels, "cuda"), CrossEntropy(sparse=True)(logits, labels)
    torch.testing.assert_close(ours.loss, theirs.loss)
    torch.testing.assert_close(ours.gradient, theirs.gradient)
    assert float(ours.accuracy) == pytest.approx(float((logits.argmax(1) == labels).float().mean()))


def test_a_label_out_of_range_makes_the_loss_nan():
    """A GPU's kernel cannot raise; the training loop stops at a loss that is no number."""
    judged = cross_entropy(torch.zeros(2, 3, device=DEVICE), torch.tensor([0, 3], device=DEVICE), "cuda")
    assert torch.isnan(judged.loss)


OPTIMIZERS: list[Any] = [
    keras.optimizers.Adam(0.01), keras.optimizers.AdamW(0.01, weight_decay=0.1), keras.optimizers.RMSprop(0.01),
    keras.optimizers.RMSprop(0.01, momentum=0.9, weight_decay=0.1), keras.optimizers.SGD(0.1),
    keras.optimizers.SGD(0.1, momentum=0.9), keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
]  # fmt: skip


@pytest.mark.parametrize("place", range(len(OPTIMIZERS)))
def test_updates_are_keras_own(place: int, bars: Dataset):
    """Five updates by gradients that change leave the weights where Keras's optimizer leaves them."""
    ours, theirs = (compiled(build("mlp", (8, 8, 1), 3)) for _ in range(2))
    theirs.set_weights(ours.get_weights())
    for model in (ours, theirs):
        model.compile(type(OPTIMIZERS[place]).from_config(OPTIMIZERS[place].get_config()), loss="mse")
    program = LoweredProgram(ours, kernels="cuda")
    assert program.optimizer_how == "fused"
    theirs.optimizer.build(theirs.trainable_variables)
    for seed in range(5):
        draw = torch.Generator().manual_seed(seed)
        gradients = [torch.randn(p.master.shape, generator=draw).to(DEVICE) for p in program.parameters]
        passing = Pass(PassContext(training=True))
        passing.gradients = dict(zip(program.parameters, gradients, strict=True))
        with torch.no_grad():
            program.apply(passing)
            theirs.optimizer.apply(gradients, theirs.trainable_variables)
    assert int(ours.optimizer.iterations) == 5
    for mine, its in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(mine, its, rtol=2e-5, atol=2e-6)


def test_a_network_agrees_with_keras(bars: Dataset, monkeypatch: pytest.MonkeyPatch):
    """A whole network in the form it has on a GPU gives Keras's numbers, forward and backward."""
    monkeypatch.setattr("eyespot.engine.lowered_program.kernels_for", lambda _: "cuda")
    keras.utils.set_random_seed(5)
    start = [keras.Input((8, 8, 1), dtype="uint8"), layers.Rescaling(1 / 255), layers.Conv2D(4, 3)]
    middle = [layers.MaxPooling2D(2), layers.LeakyReLU(0.1), layers.Conv2D(3, 2), layers.BatchNormalization()]
    end = [layers.ReLU(), layers.Flatten(), layers.Dense(3, activation="softmax")]
    program = agrees(keras.Sequential([*start, *middle, *end]), bars.train)
    assert "bias + maximum pool + activation, fused" in hows(program)


class NeverWaits(TorchDispatchMode):
    """Refuses every operation that brings a number from a tensor to the host."""

    def __torch_dispatch__(self, function: Any, types: Any, arguments: Any = (), settings: Any = None) -> Any:
        assert function is not torch.ops.aten._local_scalar_dense.default, "this would wait for the GPU"
        return function(*arguments, **(settings or {}))


# First step, steps made before, and the mean over those: the second epoch is continued.
EPOCHS = [(0, 0, (0, 0.0, 0.0)), (3, 1, (32, 10.0, 5.0))]


def learnt(steps: DeviceStepRunner | HostStepRunner, bars: Dataset, epochs: Any = EPOCHS) -> list[np.ndarray]:
    """The last epoch's means, logits and weights after some epochs of three steps, the last batch smaller."""
    order = np.random.default_rng(0).permutation(70)
    for first, made, before in epochs:
        steps.begin(Epoch(bars.train, order, 32, first), Mean(*before))
        with NeverWaits() if isinstance(steps, DeviceStepRunner) else torch.no_grad():
            for index in range(made, 3):
                steps.run(index)
    mean, logits = steps.mean(), steps.logits(bars.train)
    assert mean.pictures == 70
    return [np.array([mean.loss, mean.accuracy]), logits.float().cpu().numpy(), *steps.program.model.get_weights()]


@pytest.mark.parametrize("resident", [True, False])
def test_steps_on_the_device_are_those_of_the_host(bars: Dataset, monkeypatch: pytest.MonkeyPatch, resident: bool):
    """The same batches, masks and updates, the last batch smaller, and no number asked for between two looks."""
    with keras.device("cpu"):
        host = compiled(build("fashion-cnn-dropout", (8, 8, 1), 3, 1))
        expected = HostStepRunner(LoweredProgram(host, seed=4, kernels="cpu"))
    model = compiled(build("fashion-cnn-dropout", (8, 8, 1), 3, 1))
    model.set_weights(host.get_weights())
    if not resident:
        monkeypatch.setattr(DeviceStepRunner, "_laid", lambda self, split: None)
    steps = DeviceStepRunner(LoweredProgram(model, seed=4, kernels="cuda"))
    found, others = learnt(steps, bars), learnt(expected, bars)
    np.testing.assert_allclose(found[0], others[0], rtol=0, atol=1e-4)
    for mine, its in zip(found[1:], others[1:], strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(DEVICE.type != "cuda", reason="nothing is captured on the processor: TRITON_INTERPRET=0 on a GPU")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_replayed_step_is_the_step_itself(bars: Dataset, dtype: torch.dtype):
    """A step captured and replayed leaves what the same step leaves when it runs as it is: draws, updates, sums."""
    epochs = [(first, 0, (0, 0.0, 0.0)) for first in range(0, 30, 3)]
    found: list[list[np.ndarray]] = []
    with deterministic_kernels(enabled=True):
        for captures in (True, False):
            model = compiled(build("fashion-cnn-dropout", (8, 8, 1), 3, 1))
            steps = DeviceStepRunner(LoweredProgram(model, dtype, seed=4))
            assert steps.captures
            steps.captures = captures
            found.append(learnt(steps, bars, epochs))
            assert (steps._graph is not None) == captures
    for mine, its in zip(*found, strict=True):
        assert np.array_equal(mine, its)
