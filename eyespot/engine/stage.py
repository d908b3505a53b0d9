"""Stage: one piece of a lowered program, with its forward and backward pass written out.

Values flow as Keras has them, `[n, height, width, channels]` or `[n, features]`, contiguous. Backward passes are
written by hand rather than recorded: on small networks autograd's bookkeeping costs as much as the arithmetic.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from types import SimpleNamespace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from eyespot.backend import keras
from eyespot.random import stage_keys, step_keys
from eyespot.torch_internals import change_count


class Parameter:
    """A Keras variable as a tensor that shares its memory.

    Attributes:
        master: the variable's own values, float32.
    """

    def __init__(self, variable: keras.Variable, dtype: torch.dtype) -> None:
        self.variable, self.dtype, self._renewing = variable, dtype, Lock()
        self.moved(None)

    def moved(self, copy: Tensor | None) -> None:
        """The variable's memory is another now, and so, if given, is that of the copy, which is up to date."""
        self.master: Tensor = self.variable.value.detach()
        self._copy, self._version = copy, -1 if copy is None else change_count(self.master)

    @property
    def value(self) -> Tensor:
        """The values to compute with: the master itself, or its copy in the dtype of the computation.

        PyTorch counts the changes of a tensor, so the copy is renewed whoever has changed the variable; only fused
        updates are not counted, and renew it themselves.
        """
        if self.dtype == self.master.dtype:
            return self.master
        with self._renewing:  # of two passes that begin at once, none is to get half a copy
            if self._copy is None:
                self._copy = torch.empty_like(self.master, dtype=self.dtype)
            version = change_count(self.master)
            if self._version != version:
                self._copy.copy_(self.master)
                self._version = version
            return self._copy


class Parameters:
    """Every variable of a program, each once, although several stages may use it.

    Attributes:
        dtype: of the computation.
        device: where the variables lie.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device | None = None) -> None:
        self.dtype, self.device = dtype, device or torch.device("cpu")
        self._known: dict[int, Parameter] = {}

    def of(self, variable: keras.Variable, dtype: torch.dtype | None = None) -> Parameter:
        """The variable's parameter, in the dtype of the computation unless another is asked for."""
        return self._known.setdefault(id(variable), Parameter(variable, dtype or self.dtype))

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self._known.values())


@dataclass(frozen=True)
class PassContext:
    """Settings of one pass, which its stages read.

    Attributes:
        training: dropout and batch statistics are on.
        seed: of the training.
        number: of the training's steps, from 0; random numbers are a function of it, the seed and the stage.
        device_keys: the step's two keys, int64 [2], where they lie on a GPU already, to be changed behind the step's
            back when it is captured; `number` is then not read.
    """

    training: bool
    seed: int = 0
    number: int = 0
    device_keys: Tensor | None = None

    def keys(self, stage: int) -> tuple[int, int]:
        """Two 32-bit keys for what one stage draws, for kernels on the processor."""
        return stage_keys(self._own, stage)

    def keys_on(self, device: torch.device) -> Tensor:
        """The step's own two keys, int64 [2], for kernels that mix the stage in themselves."""
        return torch.tensor(self._own, device=device) if self.device_keys is None else self.device_keys

    @cached_property
    def _own(self) -> tuple[int, int]:
        return step_keys(self.seed, self.number)


class Pass:
    """One batch's way through a program, which no other batch has a part in: several may be under way at once.

    Attributes:
        step: what the stages need to know.
        gradients: of each parameter that the backward pass has reached; the sum where several stages use it.
        losses: what layers have added to the loss, a number each.
        charged: of the stages of these layers, a gradient of zeros: what arrives there where nothing else does.
    """

    def __init__(self, step: PassContext) -> None:
        self.step = step
        self.gradients: dict[Parameter, Tensor] = {}
        self.losses: list[Tensor] = []
        self.charged: dict[Stage, Tensor] = {}
        self._kept: defaultdict[Stage, SimpleNamespace] = defaultdict(SimpleNamespace)

    def of(self, stage: "Stage") -> Any:
        """Values that a stage's backward pass needs of its forward pass, under names of its own."""
        return self._kept[stage]

    def charge(self, stage: "Stage", loss: Tensor, output: Tensor) -> None:
        """Takes in what a layer has added to the loss, whose gradient is the stage's own to add."""
        self.losses.append(loss.detach())
        self.charged[stage] = torch.zeros_like(output)

    def add(self, parameter: Parameter, gradient: Tensor) -> None:
        """Takes in a parameter's gradient."""
        previous = self.gradients.get(parameter)
        self.gradients[parameter] = gradient if previous is None else previous + gradient


@runtime_checkable
class Stage(Protocol):
    """One piece of the program. It keeps nothing of a batch: what its backward pass needs belongs to the pass.

    Attributes:
        how: what runs it, for people.
        parameters: the variables it learns.
    """

    how: str
    parameters: list[Parameter]

    def forward(self, inputs: list[Tensor], passing: Pass) -> Tensor:
        """The output."""

    def backward(self, gradient: Tensor, passing: Pass, *, needs_input_gradient: bool) -> list[Tensor | None]:
        """The gradients of the inputs, each None unless `needs_input_gradient`; the pass takes in the parameters'."""
