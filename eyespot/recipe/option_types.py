"""The recipe's options as types: what `train(epochs=5)` takes, for type checkers and the completion of editors.

Those read no Pydantic model, so the names and types stand here again; defaults, ranges and descriptions are in the
schema alone. A test compares the two.
"""

from typing import Literal, TypedDict

Resizing = Literal["pad", "crop", "squash"]
Policy = Literal["none", "auto", "digits", "objects", "photos"]
SplitMethod = Literal["fraction", "last", "given", "none", "test"]
InputRange = Literal["auto", "0-255", "0-1", "-1-1", "standardised"]
Optimizer = Literal["adam", "adamw", "sgd", "rmsprop", "nadam", "adamax", "adagrad", "lion"]
Schedule = Literal["constant", "cosine", "linear", "exponential"]
Balanced = Literal["balanced"]
Engine = Literal["eyespot", "keras"]
Precision = Literal["auto", "float32", "bfloat16"]
Keep = Literal["best", "last"]


class PictureOptions(TypedDict, total=False):
    """How own images are read; None leaves an option at its default."""

    size: int | str | tuple[int, int] | None
    resize: Resizing | None
    color: bool | None
    class_names: str | None
    image_column: str | None
    label_column: str | None
    split_column: str | None
    max_bytes: int | None
    max_pixels: int | None


class LookOptions(PictureOptions, total=False):
    """How images are read and shown."""

    augment: Policy | None


class RecipeOptions(PictureOptions, total=False):
    """Settings of a recipe that have a short name; None leaves one as the recipe has it.

    Example:
        >>> options: eyespot.RecipeOptions = {"model": "mlp", "epochs": 3}
        >>> eyespot.train("digits", **options)
    """

    drop_leaks: bool | None
    augment: Policy | None
    split: SplitMethod | None
    fraction: float | None
    stratify: bool | None
    test_fraction: float | None
    class_weights: Balanced | None
    resample: Balanced | None
    model: str | None
    start: str | None
    freeze: bool | None
    input_range: InputRange | None
    optimizer: Optimizer | None
    learning_rate: float | None
    batch_size: int | None
    schedule: Schedule | None
    warmup_epochs: float | None
    average: float | None
    epochs: int | None
    early_stopping: bool | None
    patience: int | None
    keep: Keep | None
    engine: Engine | None
    precision: Precision | None
    seed: int | None
    deterministic: bool | None
