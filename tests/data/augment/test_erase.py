import numpy as np
import pytest
import torch

from eyespot.data.augment.changes import Changes
from eyespot.data.augment.draws import Column, draw
from eyespot.data.augment.erase import AREA, SLIMMEST, erase


@pytest.mark.parametrize("sides", [(28, 28), (20, 40)])
def test_rectangles_of_one_colour_over_their_share(sides: tuple[int, int]):
    """About the given share of pictures lose one rectangle, of 2 to 40 % and at most 1 to 3.3 in its sides."""
    before = torch.full((2000, 3, *sides), -1.0)
    drawn = torch.from_numpy(draw(Changes(erase=0.3), 0, 0, 2000))
    after = erase(before, 0.3, drawn)
    erased = (after != before).any(1)
    hit = erased.any(2).any(1)
    assert float(hit.float().mean()) == pytest.approx(0.3, abs=0.05)  # five deviations
    assert torch.equal(hit, drawn[:, Column.ERASE] < 0.3)
    for picture, mask in zip(after[hit], erased[hit], strict=True):
        rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
        high, wide = len(rows), len(columns)
        assert int(mask.sum()) == high * wide == (rows[-1] - rows[0] + 1) * (columns[-1] - columns[0] + 1)
        assert AREA[0] * 0.5 < high * wide / mask.numel() < AREA[1] * 1.05
        assert min(high, wide) / max(high, wide) > SLIMMEST * 0.7 or wide == sides[1] or high == sides[0]
        assert len(torch.unique(picture[:, mask], dim=1).T) == 1


def test_they_lie_everywhere():
    """Every pixel is erased in some picture, none in most of them."""
    drawn = torch.from_numpy(draw(Changes(erase=1), 0, 1, 3000))
    often = (erase(torch.full((3000, 1, 16, 16), -1.0), 1.0, drawn) >= 0).float().mean(0)[0].numpy()
    assert often.min() > 0.005
    assert often.max() < 0.5
    assert np.abs(often - often[::-1, ::-1]).max() < 0.05
