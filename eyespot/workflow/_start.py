"""The model a training starts from."""

import tempfile
from pathlib import Path

from eyespot.backend import keras
from eyespot.data.dataset import Dataset
from eyespot.errors import ModelError
from eyespot.exporting.onnx import write_onnx
from eyespot.models.architectures import build_recipe
from eyespot.models.own import check_built, is_own, load_model
from eyespot.models.transfer import continue_from
from eyespot.recipe import Recipe
from eyespot.run import open_run
from eyespot.workflow._input_range import AUTO, with_its_range


def starting_model(
    recipe: Recipe, dataset: Dataset, built: keras.Model | None, *, trust: bool
) -> tuple[keras.Model, Recipe, list[str]]:
    """The model to train, known to fit the pictures and to be exportable, before anything is trained.

    Also the recipe, with the range of pixels that a user's own model expects; and what the user should be told of that.

    Args:
        built: the recipe's model, if it was built before the pictures were read.
        trust: of a `.keras` file, as of `load_model`.
    """
    wanted, shape, classes = recipe.model, dataset.input_shape, dataset.classes
    seed, same = recipe.training.seed, False
    if wanted.start is None:
        if wanted.freeze:
            raise ModelError(
                "Freezing leaves fresh random weights as they are: it goes with starting from a trained model."
            )
        model = build_recipe(recipe, shape, classes, trust=trust) if built is None else built
    else:
        start = Path(wanted.start)
        known = open_run(start).predictor().class_names if start.is_dir() else None
        trained = open_run(start).model(trust=trust) if start.is_dir() else load_model(start, trust=trust)
        check_built(trained, wanted.start)
        same = known == dataset.class_names if known else trained.outputs[0].shape[-1] == classes
        model = continue_from(trained, wanted.start, shape, classes, new_head=not same, freeze=wanted.freeze, seed=seed)
    notes: list[str] = []
    if wanted.start or is_own(wanted.name or ""):
        model, found, notes = with_its_range(model, recipe, dataset, trained=same)
        recipe = recipe.model_copy(update={"model": wanted.model_copy(update={"input_range": found})})
    elif wanted.input_range != AUTO:
        raise ModelError(
            f"model.input_range goes with a model of your own; {wanted.name or 'a model of layers'} begins with raw "
            "pixels: leave it out."
        )
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(model, Path(folder) / "model.onnx", dataset.class_names, dataset.train.images[:1])
    return model, recipe, notes
