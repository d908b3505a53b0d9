"""Kernels that stand for themselves, against what PyTorch computes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("numba")

from eyespot.engine.kernels.cpu import numba_support
from eyespot.engine.kernels.cpu.channel_moments import moments
from eyespot.engine.kernels.cpu.cross_entropy import cross_entropy
from eyespot.engine.kernels.cpu.epilogue import forward
from eyespot.engine.kernels.cpu.numba_support import bits

SMALLEST = np.float32(1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_cross_entropy_is_that_of_the_clipped_softmax(dtype: torch.dtype):
    """Loss, accuracy and gradient, also of rows so sure that they are clipped."""
    logits = (8 * torch.randn(64, 10, generator=torch.Generator().manual_seed(1))).to(dtype)
    logits[:2, 0] = torch.tensor([60.0, -60.0]).to(dtype)
    labels = torch.arange(64) % 10
    labels[:2] = 0
    exact = logits.float().clone().requires_grad_()
    of_label = torch.softmax(exact, 1).gather(1, labels[:, None]).clamp(1e-7, 1 - 1e-7)
    expected = -of_label.log().mean()
    expected.backward()
    gradient = torch.empty_like(logits)
    loss, accuracy = cross_entropy(bits(logits), labels.numpy(), SMALLEST, bits(gradient))
    assert loss == pytest.approx(float(expected.detach()), rel=1e-5)
    assert accuracy == pytest.approx(float((exact.argmax(1) == labels).float().mean()))
    assert exact.grad is not None
    assert torch.allclose(gradient.float(), exact.grad, atol=1e-7 if dtype == torch.float32 else 1e-4)
    assert not gradient[:2].any()


def test_cross_entropy_shows_what_is_wrong():
    """NaN stays NaN, and a label that is no class is an error rather than a read beyond the row."""
    logits = torch.zeros(2, 3)
    with pytest.raises(IndexError, match="label"):
        cross_entropy(bits(logits), np.array([0, 3]), SMALLEST, bits(torch.empty_like(logits)))
    logits[1, 1] = torch.nan
    loss, _ = cross_entropy(bits(logits), np.array([0, 0]), SMALLEST, bits(torch.empty_like(logits)))
    assert np.isnan(loss)


def test_moments_do_not_cancel():
    """The variance of values far from zero is right to 1e-4."""
    rows = np.random.default_rng(0).normal(1000, 1, (5000, 8)).astype(np.float32)
    mean, variance = moments(rows, 16)
    assert np.allclose(mean, rows.astype(np.float64).mean(0), rtol=1e-6)
    assert np.allclose(variance, rows.astype(np.float64).var(0), rtol=1e-4)


def test_loops_of_other_sources_are_not_taken_up(monkeypatch: pytest.MonkeyPatch):
    """Numba's cache files are named after all sources: with another file changed, they are other files."""
    loop: Any = forward
    name = loop.__wrapped__._cache._impl.filename_base
    assert f"forward-{numba_support.sources_digest()}-" in name
    numba_support.sources_digest.cache_clear()
    monkeypatch.setattr(Path, "read_bytes", lambda file: file.name.encode())
    assert numba_support.sources_digest() not in name
    monkeypatch.undo()
    numba_support.sources_digest.cache_clear()
    assert f"forward-{numba_support.sources_digest()}-" in name
