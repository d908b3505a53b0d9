"""Prepare a training: recipe, data, model and program that fit each other."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from eyespot.backend import keras
from eyespot.data.audit.duplicates import DuplicatePair, leaking_rows
from eyespot.data.augment.policy import Changes, changes_for
from eyespot.data.augment.policy import resolve_policy as settled_augmentation
from eyespot.data.catalog import CATALOG
from eyespot.data.class_balance import balanced_weights, class_weights_text
from eyespot.data.dataset import Dataset
from eyespot.data.load import Source, check_reading, is_path, load, looks_like_path
from eyespot.data.split import hold_out_test, split
from eyespot.engine.hardware import dtype_for
from eyespot.engine.kernels.cpu import are_compiled
from eyespot.errors import DataError, ModelError, UsageError, unknown
from eyespot.models.architectures import build_recipe
from eyespot.models.backbones.pretrained import BACKBONES
from eyespot.models.loading import check_built, continue_from, is_own_model, load_model, set_trainable
from eyespot.onnx_writer.write import write_onnx
from eyespot.output import console_for
from eyespot.recipe.effects import check_effect, stated_keys
from eyespot.recipe.recipe_files import SUFFIXES, recipe_names
from eyespot.recipe.schema import Recipe
from eyespot.run import open_run
from eyespot.shapes import Float32
from eyespot.training.program import EngineProgram, KerasProgram
from eyespot.workflow.audit import audit
from eyespot.workflow.find_input_range import AUTO, with_input_range


def model_stem(recipe: Recipe) -> str:
    """The model's name as part of a directory's name."""
    name = recipe.model.start or recipe.model.name or recipe.name or "own"
    file, _, function = name.rpartition(".py:")
    stem = function if file else Path(name).stem
    return f"from-{stem}" if recipe.model.start else stem


@dataclass(frozen=True)
class PreparedTraining:
    """All that is known before the first step.

    Attributes:
        dataset: split as the recipe has it.
        fingerprint: of the images and labels.
        recipe: with everything in it that was left open.
        changes: of the training images.
        class_weights: of the training loss; None: all the same.
        notes: sentences for the user.
    """

    dataset: Dataset
    fingerprint: str
    recipe: Recipe
    model: keras.Model
    changes: Changes
    class_weights: Float32[np.ndarray, " classes"] | None
    notes: tuple[str, ...]


def prepare(  # noqa: PLR0913 - as of `train`
    source: Source | None,
    recipe: Recipe | None,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    trust: bool,
    verbose: int,
) -> PreparedTraining:
    """Finds the recipe, builds the model, reads the images; arguments as of `train`.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit.
    """
    path_first = own_first(source)
    source, recipe = recipe_for(source, recipe, settings)
    recipe = recipe.with_options(dict(options))
    stated = stated_keys(options, settings)
    check_reading(recipe, stated, source, own_first=path_first)
    check_effect(recipe, stated)
    if trust and not opens_model_file(recipe):
        raise UsageError(
            "`trust=True` has no effect, since no .keras file is opened: name one as `model.name` or `model.from`, or "
            "leave it out."
        )
    built = model_before_data(source, recipe, trust=trust)
    full = load(source, recipe.reading, verbose=verbose, own_first=path_first)
    origin = full.origin
    recipe = recipe.settled(
        origin.path if origin else full.name,
        validation_given=full.validation is not None,
        pictures=origin.pictures if origin else None,
        augmentation=settled_augmentation(recipe.augmentation, full),
    )
    check_effect(recipe, stated)
    dataset = split(hold_out_test(full, recipe.split), recipe.split, recipe.training.seed)
    findings = audit(dataset, console_for(verbose), labels=False, within=False) if origin else None
    if findings and recipe.pictures.drop_leaks:
        dataset = _without_leaks(dataset, findings.leaks)
    batch_size = recipe.training.batch_size_for(len(dataset.train))
    recipe = recipe.model_copy(update={"training": recipe.training.model_copy(update={"batch_size": batch_size})})
    model, recipe, model_notes = starting_model(recipe, dataset, built, trust=trust)
    return PreparedTraining(
        dataset,
        full.fingerprint,
        recipe,
        model,
        changes_for(recipe.augmentation),
        _class_weights(recipe, dataset),
        (*_notes(recipe, full, dataset), *(findings.sentences() if findings else ()), *model_notes),
    )


def opens_model_file(recipe: Recipe) -> bool:
    """Whether the model comes from a `.keras` file, of a run or of the user's own."""
    return recipe.model.start is not None or (recipe.model.name or "").endswith(".keras")


def own_first(source: object) -> bool:
    """Whether the user names the images, and not a recipe: then a path goes before a catalog name (see `load`)."""
    return source is not None and not names_recipe(source)


def names_recipe(source: object) -> bool:
    """Whether it is a recipe's file or name: names mean an existing path first, then a dataset, then a recipe."""
    if not isinstance(source, str):
        return False
    is_recipe_name = source not in CATALOG and not is_path(source) and source in recipe_names()
    return is_recipe_name or Path(source).suffix in SUFFIXES


def recipe_for(
    source: Source | None, recipe: Recipe | None, settings: Mapping[str, Any]
) -> tuple[str | Dataset, Recipe]:
    """The dataset, and the recipe to train it by.

    Args:
        source: a dataset, or the name of one; or, where no recipe is given, a recipe's file or name.
        settings: keys of the recipe to change, by their dotted names.

    Raises:
        DataError: there is no dataset and no recipe of that name.
        RecipeError: the recipe, or a setting, does not fit.
    """
    if isinstance(source, tuple):
        source = load(source)
    elif isinstance(source, Path):
        source = str(source)
    if recipe is None and isinstance(source, str) and names_recipe(source):
        chosen = Recipe.read(source, settings)
        return chosen.dataset, chosen
    if isinstance(source, str) and source not in CATALOG and not is_path(source):
        if looks_like_path(source):
            raise DataError(f"There is no file or folder {source}.")
        raise DataError(unknown("dataset or recipe", source, {*CATALOG, *recipe_names()}))
    chosen = (recipe or Recipe()).with_settings(settings)
    return chosen.dataset if source is None else source, chosen


def model_before_data(source: str | Dataset, recipe: Recipe, *, trust: bool) -> keras.Model | None:
    """The recipe's model, built before images are read or downloaded, where it is known what it gets.

    Raises:
        ModelError, RecipeError: it cannot be built for them.
        MissingExtra, ModelError: the weights of a backbone are missing.
    """
    if isinstance(source, str) and source in CATALOG and not is_path(source) and recipe.model.start is None:
        entry = CATALOG[source]
        return build_recipe(recipe, entry.input_shape, entry.classes, trust=trust)
    if recipe.model.is_backbone:
        BACKBONES[str(recipe.model.name)].fetch_weights()  # rather than after an hour of decoding
    return None


def _without_leaks(dataset: Dataset, leaks: list[DuplicatePair]) -> Dataset:
    """The training images that are in another split too left out."""
    rows = np.setdiff1d(np.arange(len(dataset.train)), leaking_rows(leaks))
    if not len(rows):
        raise DataError(f"{dataset.name}: every training image is in another split too: nothing is left to learn.")
    return replace(dataset, train=dataset.train.take(rows))


def starting_model(
    recipe: Recipe, dataset: Dataset, built: keras.Model | None, *, trust: bool
) -> tuple[keras.Model, Recipe, list[str]]:
    """The model to train, known to fit the images and to be exportable, before anything is trained.

    Also the recipe, with the range of pixels that a user's own model expects; and notes on it for the user.

    Args:
        built: the recipe's model, if it was built before the images were read.
        trust: of a `.keras` file, as of `load_model`.
    """
    requested, shape, classes = recipe.model, dataset.input_shape, dataset.classes
    seed, same_classes = recipe.training.seed, False
    if requested.start is None:
        if requested.freeze and not requested.is_backbone:
            raise ModelError(
                "Freezing leaves fresh random weights as they are: it goes with starting from a trained model."
            )
        model = build_recipe(recipe, shape, classes, trust=trust) if built is None else built
        if requested.is_backbone:
            set_trainable(model, head_alone=requested.freeze)
    else:
        start = Path(requested.start)
        trained_classes = open_run(start).predictor().class_names if start.is_dir() else None
        trained = open_run(start).model(trust=trust) if start.is_dir() else load_model(start, trust=trust)
        check_built(trained, requested.start)
        same_classes = (
            trained_classes == dataset.class_names if trained_classes else trained.outputs[0].shape[-1] == classes
        )
        model = continue_from(
            trained, requested.start, shape, classes, new_head=not same_classes, freeze=requested.freeze, seed=seed
        )
    notes: list[str] = []
    if requested.start or is_own_model(requested.name or ""):
        model, input_range, notes = with_input_range(model, recipe, dataset, trained=same_classes)
        recipe = recipe.model_copy(update={"model": requested.model_copy(update={"input_range": input_range})})
    elif requested.input_range != AUTO:
        raise ModelError(
            f"model.input_range goes with a model of your own; {requested.name or 'a model of layers'} begins with raw "
            "pixels: leave it out."
        )
    with tempfile.TemporaryDirectory() as folder:
        write_onnx(model, Path(folder) / "model.onnx", dataset.class_names, dataset.train.images[:1])
    return model, recipe, notes


def _class_weights(recipe: Recipe, dataset: Dataset) -> Float32[np.ndarray, " classes"] | None:
    is_balanced = recipe.training.class_weights == "balanced"
    return balanced_weights(dataset.train.labels, dataset.classes) if is_balanced else None


def _notes(recipe: Recipe, full: Dataset, dataset: Dataset) -> tuple[str, ...]:
    notes = list(full.origin.notes) if full.origin else []
    if full.validation is not None and recipe.split.method != "given":
        notes.append(
            f"Note: the validation data that {full.name} comes with is left out "
            f"(`split.method={recipe.split.method!r}`)."
        )
    changes, weights = changes_for(recipe.augmentation), _class_weights(recipe, dataset)
    if changes.any:
        notes.append(f"Training images are changed at random ({recipe.augmentation.policy}): {changes.describe()}.")
    if weights is not None:
        notes.append(f"Class weights, balanced: {class_weights_text(weights, dataset.class_names)}.")
    if recipe.training.resample:
        notes.append("An epoch has as many images of each class (resample: balanced).")
    return tuple(notes)


def program_for(prepared: PreparedTraining, steps: int, say: Callable[[str], None]) -> EngineProgram | KerasProgram:
    """The engine's program; Keras's where that is asked for, or where the engine cannot.

    Args:
        steps: of an epoch.
        say: called with a sentence on which, and why.
    """
    model, recipe = prepared.model, prepared.recipe.training
    arguments: dict[str, Any] = {"changes": prepared.changes, "class_weights": prepared.class_weights}
    if recipe.engine == "eyespot":
        dtype = dtype_for(recipe.precision)
        try:
            program = EngineProgram(model, recipe, steps, dtype, **arguments)
        except ModelError as error:
            say(f"Note: Keras runs this model, not the engine: {error}")
        else:
            left_to_keras = {name for name, how in program.lowered.lowering if how == "Keras"}
            exceptions = f", but Keras runs {', '.join(sorted(left_to_keras))}" if left_to_keras else ""
            say(f"The engine runs this model in {str(dtype).removeprefix('torch.')}{exceptions}.")
            if program.lowered.kernels == "cpu" and not are_compiled():
                say("Its kernels are compiled for this processor now, once: some ten seconds.")
            return program
    return KerasProgram(model, recipe, steps, **arguments)
