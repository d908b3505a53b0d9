import torch

from eyespot.data.augment.rectangles import inside


def test_the_first_pixel_is_inside_and_the_end_is_not():
    """Rows 1 to 2 and columns 0 to 3 of one picture, nothing of another, cut off at the edge of a third."""
    corners = torch.tensor([[1, 2, 3], [0, 0, -2], [3, 2, 9], [4, 5, 1]])
    found = inside(*corners, (4, 5))
    assert found.shape == (3, 1, 4, 5)
    assert found[0, 0].int().tolist() == [[0] * 5, [1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0] * 5]
    assert found.sum((1, 2, 3)).tolist() == [8, 0, 1]
