from collections.abc import Callable

import pytest
import torch

from eyespot import torch_internals as internals
from tests.private_names import private_names


def adam_step(update: Callable[..., None], weight_decay: float) -> float:
    """A weight of 1 after the first step of Adam: by the learning rate against the gradient, and decay."""
    weight, gradient, first, second = (torch.full((1,), value) for value in (1.0, 2.0, 0.0, 0.0))
    update(
        [weight], [gradient], [first], [second], [], [torch.tensor(1.0)], amsgrad=False, maximize=False, lr=0.25,
        beta1=0.5, beta2=0.5, weight_decay=weight_decay, eps=0,
    )  # fmt: skip
    return float(weight)


def list_is_copied() -> bool:
    copies = [torch.zeros(2), torch.zeros(3)]
    internals.copy_all(copies, [torch.ones(2), torch.ones(3)])
    return all(bool(copy.all()) for copy in copies)


def changes_are_counted() -> bool:
    tensor = torch.zeros(1)
    before = internals.change_count(tensor)
    return internals.change_count(tensor) == before < internals.change_count(tensor.add_(1))


def instructions_are_named(switch: str, name: str) -> bool:
    """Whether that name is answered where PyTorch has that switch alone."""
    with pytest.MonkeyPatch.context() as patch:
        for each in ("_is_amx_tile_supported", "_is_avx512_bf16_supported"):
            assert isinstance(getattr(torch.cpu, each)(), bool)
            patch.setattr(torch.cpu, each, lambda each=each: each == switch)
        return internals.bfloat16_instructions() == name


CHECKS: dict[str, tuple[str, Callable[[], bool]]] = {
    "torch._fused_adam_": ("fused Adam needs", lambda: adam_step(internals.fused_adam, 0) == 0.75),
    "torch._fused_adamw_": ("fused AdamW needs", lambda: adam_step(internals.fused_adamw, 0.5) == 0.625),
    "torch._foreach_copy_": ("the fused optimizers need to gather the gradients", list_is_copied),
    "Tensor._version": ("weights in bfloat16 need to notice that a weight has changed", changes_are_counted),
    "torch.cpu._is_amx_tile_supported": (
        "`precision=\"auto\"` needs", lambda: instructions_are_named("_is_amx_tile_supported", "AMX")
    ),
    "torch.cpu._is_avx512_bf16_supported": (
        "`precision=\"auto\"` needs", lambda: instructions_are_named("_is_avx512_bf16_supported", "AVX-512 BF16")
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_pytorch_has_not_moved(name: str):
    """Each private name of PyTorch that eyespot uses exists, and means what eyespot takes it for."""
    need, holds = CHECKS[name]
    moved = f"PyTorch {torch.__version__} has moved {name}, which {need}."
    try:
        is_there = holds()
    except (AttributeError, RuntimeError, TypeError):
        pytest.fail(moved)  # with the error as its context
    assert is_there, moved


def test_every_private_name_of_pytorch_is_checked():
    """`torch_internals` uses no private name that this file does not check."""
    assert private_names(internals.__file__) == {name.rpartition(".")[2] for name in CHECKS}
