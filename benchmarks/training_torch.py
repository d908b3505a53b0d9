"""For `training.py`: the network as a PyTorch user writes it, and the floor: its products alone."""

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn
from training_job import PREDICT_BATCH, Job

if TYPE_CHECKING:
    from eyespot.engine.hardware import Precision

WARM_UP = 4  # steps before one is captured
OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {  # with Keras's defaults
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, eps=1e-7),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, eps=1e-7),
}

CAPTURABLE: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": lambda parameters: torch.optim.Adam(parameters, lr=1e-3, eps=1e-7, fused=True, capturable=True),
    "rmsprop": lambda parameters: torch.optim.RMSprop(parameters, lr=1e-3, alpha=0.9, eps=1e-7, capturable=True),
}


class Rescaling(nn.Module):  # type: ignore[misc]  # PyTorch has no types here
    """Pixels to floats."""

    def __init__(self, scale: float, offset: float) -> None:
        super().__init__()
        self.scale, self.offset = scale, offset

    def forward(self, pixels: Tensor) -> Tensor:
        """`uint8` to float32."""
        return pixels.float() * self.scale + self.offset


class Translation:
    """A Keras Sequential's layers as PyTorch's, channels first, with the same weights, up to the softmax at the end.

    Raises:
        NotImplementedError: a layer has no translation here.
    """

    def __init__(self, config: str, weights: list[np.ndarray]) -> None:
        self.weights: Iterator[Tensor] = (torch.from_numpy(array) for array in weights)
        self.shape: tuple[int, ...] = ()  # of the values so far, as Keras has them
        self.flattened: tuple[int, ...] = ()
        self.modules: list[nn.Module] = []
        for layer in json.loads(config)["config"]["layers"]:
            name, options = layer["class_name"], layer["config"]
            translate = getattr(self, f"_{name.lower()}", None)
            if translate is None:
                raise NotImplementedError(f"{name} has no translation")
            translate(options)
            self._activation(options.get("activation", "linear"))
        assert next(self.weights, None) is None
        self.model = nn.Sequential(*self.modules)

    def _inputlayer(self, options: dict[str, Any]) -> None:
        self.shape = tuple(options["batch_shape"][1:])

    def _rescaling(self, options: dict[str, Any]) -> None:
        self.modules.append(Rescaling(options["scale"], options["offset"]))

    def _dropout(self, options: dict[str, Any]) -> None:
        self.modules.append(nn.Dropout(options["rate"]))

    def _relu(self, options: dict[str, Any]) -> None:
        assert options["max_value"] is None
        assert not options["threshold"]
        self.modules.append(nn.LeakyReLU(options["negative_slope"]) if options["negative_slope"] else nn.ReLU())

    def _leakyrelu(self, options: dict[str, Any]) -> None:
        self.modules.append(nn.LeakyReLU(options["negative_slope"]))

    def _flatten(self, _: dict[str, Any]) -> None:
        self.modules.append(nn.Flatten())
        self.flattened, self.shape = self.shape, (math.prod(self.shape),)

    def _conv2d(self, options: dict[str, Any]) -> None:
        height, width, channels = self.shape
        kernel, strides, dilation = (tuple(options[key]) for key in ("kernel_size", "strides", "dilation_rate"))
        padding = "same" if options["padding"] == "same" else 0
        module = nn.Conv2d(
            channels, options["filters"], kernel, strides, padding, dilation, options["groups"], options["use_bias"]
        )
        self._fill(module.weight, next(self.weights).permute(3, 2, 0, 1))
        if options["use_bias"]:
            self._fill(module.bias, next(self.weights))
        self._append_measured(module, height, width, channels)

    def _maxpooling2d(self, options: dict[str, Any]) -> None:
        window, strides = tuple(options["pool_size"]), tuple(options["strides"])
        same = options["padding"] == "same"
        # Rounding sizes up pads only below and to the right, as Keras does for windows of 2.
        assert not same or window == strides == (2, 2)
        self._append_measured(nn.MaxPool2d(window, strides, ceil_mode=same), *self.shape)

    def _batchnormalization(self, options: dict[str, Any]) -> None:
        assert options["center"]
        assert options["scale"]
        kind = nn.BatchNorm1d if len(self.shape) == 1 else nn.BatchNorm2d
        module = kind(self.shape[-1], options["epsilon"], 1 - options["momentum"])
        for tensor in (module.weight, module.bias, module.running_mean, module.running_var):
            self._fill(tensor, next(self.weights))
        self.modules.append(module)

    def _dense(self, options: dict[str, Any]) -> None:
        module = nn.Linear(self.shape[0], options["units"], options["use_bias"])
        kernel = next(self.weights)
        if self.flattened:  # Keras flattens with the channels last
            kernel = kernel.reshape(*self.flattened, -1).permute(2, 0, 1, 3).reshape(kernel.shape)
            self.flattened = ()
        self._fill(module.weight, kernel.T)
        if options["use_bias"]:
            self._fill(module.bias, next(self.weights))
        self.shape = (options["units"],)
        self.modules.append(module)

    def _activation(self, name: str) -> None:
        if name not in ("linear", "relu", "softmax"):
            raise NotImplementedError(f"activation {name} has no translation")
        self.modules += [nn.ReLU()] if name == "relu" else []

    def _append_measured(self, module: nn.Module, height: int, width: int, channels: int) -> None:
        with torch.no_grad():
            _, channels, height, width = module(torch.zeros(1, channels, height, width)).shape
        self.shape = (height, width, channels)
        self.modules.append(module)

    @staticmethod
    def _fill(tensor: Tensor, values: Tensor) -> None:
        with torch.no_grad():
            assert tensor.shape == values.shape
            tensor.copy_(values)


class TorchPeer:
    """An ordinary training loop, eager; the pictures are one tensor in memory, which no DataLoader is quicker than.

    Everything is on the GPU where PyTorch finds one.
    """

    def __init__(self, job: Job, *, bfloat16: bool) -> None:
        self.job, self.bfloat16 = job, bfloat16
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.layout = torch.channels_last if bfloat16 else torch.contiguous_format
        self.model = Translation(job.config, job.weights).model.to(self.device, memory_format=self.layout)
        numbers = [*self.model.parameters(), *(b for b in self.model.buffers() if b.is_floating_point())]
        assert sum(tensor.numel() for tensor in numbers) == job.parameters
        self.images, self.labels = self._pictures(job.images), torch.from_numpy(job.labels).to(self.device)
        self.total = torch.zeros((), device=self.device)
        self.right = torch.zeros((), dtype=torch.int64, device=self.device)

    def _pictures(self, images: np.ndarray) -> Tensor:
        return torch.from_numpy(images).to(self.device).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def _logits(self, images: Tensor) -> Tensor:
        with torch.autocast(self.device.type, torch.bfloat16) if self.bfloat16 else nullcontext():
            return self.model(images.to(memory_format=self.layout)).float()

    def start(self) -> None:
        """The first step."""
        self.optimizer = OPTIMIZERS[self.job.optimizer](self.model.parameters())
        self.train(1)

    def train(self, steps: int, epochs: int = 1) -> float:
        """Train epochs of that many batches; return their seconds."""
        started = time.perf_counter()
        self.model.train()
        for _ in range(epochs):
            self.total.zero_()
            self.right.zero_()
            for rows in torch.randperm(steps * self.job.batch, device=self.device).split(self.job.batch):
                self._step(rows)
            assert math.isfinite(float(self.total))
        return time.perf_counter() - started

    def _step(self, rows: Tensor) -> None:
        images, labels = self.images[rows], self.labels[rows]
        self.optimizer.zero_grad()
        logits = self._logits(images)
        loss = nn.functional.cross_entropy(logits, labels)
        loss.backward()
        self.optimizer.step()
        self.total += loss.detach()
        self.right += (logits.argmax(1) == labels).sum()

    def predict(self, images: np.ndarray) -> np.ndarray:
        """Probabilities."""
        self.model.eval()
        with torch.inference_mode():
            parts = [self._logits(batch).softmax(1) for batch in self._pictures(images).split(PREDICT_BATCH)]
        return np.asarray(torch.cat(parts).cpu())

    def restore(self) -> None:
        """Puts the job's weights back."""
        self.model.load_state_dict(Translation(self.job.config, self.job.weights).model.state_dict())


class CapturedTorchPeer(TorchPeer):
    """The same step in bfloat16, captured as a CUDA graph; all that is left to the host is to replay it."""

    def __init__(self, job: Job) -> None:
        super().__init__(job, bfloat16=True)
        self.rows = torch.zeros(job.batch, dtype=torch.int64, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def start(self) -> None:
        """Some steps as they are, in which libraries choose their algorithms, and the capture."""
        self.optimizer = CAPTURABLE[self.job.optimizer](self.model.parameters())
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.train(WARM_UP)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            super()._step(self.rows)
        self.graph = graph
        self.train(1)

    def _step(self, rows: Tensor) -> None:
        if self.graph is None:
            super()._step(rows)
            return
        self.rows.copy_(rows)
        self.graph.replay()


class Floor:
    """The network's convolutions and matrix products alone, by PyTorch's kernels, each timed in a loop of its own.

    Forward, backward with respect to the weights, and with respect to the input of all but the first one. Nothing
    passes from one to the next, so what they read is in the cache where it fits: less than this, a step by these
    kernels cannot take.
    """

    def __init__(self, job: Job, precision: "Precision") -> None:
        from eyespot.engine.hardware import dtype_for  # imports Keras, which `TorchPeer` does without

        torch.manual_seed(0)
        self.dtype = dtype_for(precision)
        self.work: list[tuple[Callable[[], Any], ...]] = []  # of alternatives, the quickest counts
        for place, product in enumerate(job.products):
            make = self._convolution if "kernel" in product else self._dense
            make(product, job.batch, inner=place > 0)

    def start(self) -> None:
        """Everything once."""
        self.train(1)

    def train(self, steps: int, epochs: int = 1) -> float:
        """The seconds of that many steps, epochs times."""
        with torch.no_grad():
            return epochs * sum(min(_timed(call, steps) for call in alternatives) for alternatives in self.work)

    def _random(self, *shape: int) -> Tensor:
        layout = torch.channels_last if len(shape) == 4 else torch.contiguous_format  # noqa: PLR2004
        return torch.randn(shape).to(self.dtype).contiguous(memory_format=layout)

    def _convolution(self, product: dict[str, Any], batch: int, *, inner: bool) -> None:
        (height, width, channels), filters, groups = product["input"], product["filters"], product["groups"]
        kernel, strides, dilation = product["kernel"], product["strides"], product["dilation"]
        padding = [0, 0]
        if product["padding"] == "same":
            assert list(strides) == [1, 1]
            reach = [step * (side - 1) for step, side in zip(dilation, kernel, strict=True)]
            padding = [amount // 2 for amount in reach]
            height, width = height + reach[0] % 2, width + reach[1] % 2  # one more row below, one more column right
        values = self._random(batch, channels, height, width)
        weight, bias = self._random(filters, channels // groups, *kernel), self._random(filters)
        options = (strides, padding, dilation, False, [0, 0], groups)

        def forward() -> Tensor:
            return torch.ops.aten.convolution(values, weight, bias, *options)

        gradient = self._random(*forward().shape)

        def backward(*wanted: bool) -> Any:
            return lambda: torch.ops.aten.convolution_backward(gradient, values, weight, [filters], *options, wanted)

        self.work.append((forward,))
        self.work.append((backward(False, True, False), backward(False, True, True)))
        if inner:
            self.work.append((backward(True, False, False),))

    def _dense(self, product: dict[str, Any], batch: int, *, inner: bool) -> None:
        inputs, units = product["input"][0], product["units"]
        values, weight, bias = self._random(batch, inputs), self._random(units, inputs), self._random(units)
        gradient = self._random(batch, units)
        self.work.append((lambda: torch.addmm(bias, values, weight.T),))
        self.work.append((lambda: gradient.T @ values,))
        if inner:
            self.work.append((lambda: gradient @ weight,))


def _timed(call: Callable[[], Any], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return time.perf_counter() - started
