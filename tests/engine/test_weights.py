"""All weights as one vector: the variables' own memory, moved once."""

import numpy as np
import torch

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.engine.weights import ALIGNED, as_one_vector, views_of
from eyespot.models.architectures import build
from tests.engine.compare import compiled


def variables() -> list[keras.Variable]:
    return [keras.Variable(np.full(shape, fill, "float32")) for fill, shape in enumerate([(3, 5), (7,), (2, 40)], 1)]


def test_the_vector_is_the_memory_of_the_variables():
    """What is written into either is in the other; every variable keeps shape and values and begins at a line."""
    made = variables()
    vector = as_one_vector(made)
    assert [tuple(variable.shape) for variable in made] == [(3, 5), (7,), (2, 40)]
    assert [float(np.mean(variable)) for variable in made] == [1, 2, 3]
    vector.mul_(2)
    assert [float(np.mean(variable)) for variable in made] == [2, 4, 6]
    made[1].assign(np.full(7, 9, "float32"))
    assert views_of(vector, made)[1].tolist() == [9] * 7
    assert all(
        variable.value.data_ptr() % (4 * ALIGNED) == made[0].value.data_ptr() % (4 * ALIGNED) for variable in made
    )
    assert float(vector.sum()) == 2 * 15 + 9 * 7 + 6 * 80  # zeros between them


def test_variables_that_lie_end_to_end_stay():
    """A second program on the same variables shares the memory of the first; on fewer of them it does not have to."""
    made = variables()
    first, again = as_one_vector(made), as_one_vector(made)
    assert again.data_ptr() == first.data_ptr()
    assert len(again) == len(first)
    fewer = as_one_vector([made[0], made[2]])
    assert len(fewer) < len(first)
    fewer.zero_()
    assert float(np.abs(made[2]).max()) == 0
    assert float(np.mean(made[1])) == 2


def test_a_program_on_fewer_variables_learns_them_alone(bars: Dataset):
    """Frozen layers stay, with their slots in the optimizer; what learns, learns in the model's own variables."""
    model = compiled(build("mnist-mlp", (8, 8, 1), 3))
    LoweredProgram(model, torch.bfloat16).train_step(np.asarray(bars.train.images), bars.train.labels, 0)
    frozen = next(layer for layer in model.layers if isinstance(layer, keras.layers.Dense))
    frozen.trainable = False
    program = LoweredProgram(model, torch.bfloat16)
    assert program.optimizer_how == "fused"
    before = [weight.copy() for weight in model.get_weights()]
    program.train_step(np.asarray(bars.train.images), bars.train.labels, 1)
    changed = [not np.array_equal(new, old) for new, old in zip(model.get_weights(), before, strict=True)]
    assert changed == [False, False, *[True] * (len(before) - 2)]
