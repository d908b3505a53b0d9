"""20,000 damaged files, one after the other: eight minutes on one core."""

import pytest

from tests.mutation.campaign import PEAK, campaign

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PEAK.exists(), reason="how much memory a reader takes is asked of Linux's /proc"),
]


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("checkpoint", 3000), ("sealed checkpoint", 3000), ("model", 3000), ("sealed model", 4000), ("weights", 4000),
        ("onnx", 3000),
    ],
)  # fmt: skip
def test_damaged_files_are_refused_or_read_right(name: str, number: int, capsys: pytest.CaptureFixture[str]):
    """Each is told in words or read as it was written, within 5 s and 512 MiB, and no reader crashes."""
    outcome = campaign([name], range(1_000_000, 1_000_000 + number))
    with capsys.disabled():
        print(f"\n{name}: {outcome}")  # noqa: T201 - the figures are the result
    assert not outcome.wrong
