"""Which classes a model file may name: those of Keras that only compute."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType
from typing import Any

from eyespot.backend import keras
from eyespot.errors import ModelError

OPERATIONS = ("core", "image", "linalg", "math", "nn", "numpy")
MODULES = {
    "keras", "keras.models", "keras.layers", "keras.initializers", "keras.regularizers", "keras.constraints",
    "keras.dtype_policies", "keras.src.models.functional", "keras.src.applications.convnext",
    "keras.src.applications.inception_resnet_v2", *(f"keras.src.ops.{name}" for name in OPERATIONS),
}  # fmt: skip
# Layers and models are operations too.
KINDS = (keras.Operation, keras.Initializer, keras.Regularizer, keras.constraints.Constraint, keras.DTypePolicy)
LEFT_OUT = {
    "StringLookup", "IntegerLookup", "TextVectorization",  # a vocabulary may be any file (CVE-2025-12058)
    "MelSpectrogram", "STFTSpectrogram",  # they make arrays of any size, and of no use for images
}  # fmt: skip
CODE = {"__lambda__", "Lambda", "TorchModuleWrapper", "TFSMLayer", "JaxLayer", "FlaxLayer"}
VALUES = {"__keras_tensor__", "__slice__", "__ellipsis__", "__bytes__"}
NUMBERS = {"__tensor__", "__numpy__"}
NUMBER_TYPE = re.compile(r"bool|bfloat16|(u?int|float)(8|16|32|64)")
FUNCTIONS = {"builtins": keras.activations, "keras.activations": keras.activations, "keras.ops": keras.ops}
DEEPEST = 200


def vet_config(config: dict[str, Any], path: Path, *, trust: bool) -> bool:
    """Make a model's configuration fit to be built from, and take out how the model was compiled.

    Args:
        config: what `config.json` holds; changed in place.
        path: what to call it in an error.
        trust: allow classes that are not Keras's; those that carry code of their own never are.

    Returns:
        Whether all classes are Keras's own.

    Raises:
        ModelError: it names a class that is not allowed.
        ValueError: it is nested without end, has a name that is a path, or computes something as it is opened.
    """
    keras_only = True
    for part in _described(config):
        part.pop("compile_config", None)  # nothing is trained with it, and a loss may be anything
        name = str(part["class_name"])
        if name in CODE:
            raise ModelError(
                f"{path} holds a {name}, which carries code of its own and is never opened: build the model without it."
            )
        if not _is_allowed(part, name):
            keras_only = False
            if not trust:
                raise ModelError(
                    f"{path} holds {_named(part)!r} of {part.get('module')!r}, which is not among the "
                    "classes of Keras that only compute: pass `trust=True` if the file comes from someone you trust."
                )
        _check_name(part.get("config"))
        _check_calls(part.get("inbound_nodes"))
    return keras_only


def _described(config: Any) -> Iterator[dict[str, Any]]:
    """Every part of a configuration that Keras would make an object of."""
    waiting: list[tuple[Any, int]] = [(config, 0)]
    while waiting:
        part, depth = waiting.pop()
        if depth > DEEPEST:
            raise ValueError("its configuration is nested without end")
        if isinstance(part, dict):
            if "class_name" in part:
                yield part
            waiting += [(value, depth + 1) for value in part.values()]
        elif isinstance(part, list):
            waiting += [(value, depth + 1) for value in part]


def _is_allowed(part: dict[str, Any], name: str) -> bool:
    module, registered = str(part.get("module")), part.get("registered_name")
    if registered is not None and registered != _named(part):
        return False  # what is registered under a name takes the place of Keras's own
    if name in VALUES:
        return True
    if name in NUMBERS:
        return _is_of_numbers(part.get("config"))
    if name == "function":
        function = vars(FUNCTIONS[module]).get(_named(part)) if module in FUNCTIONS else None
        return isinstance(function, FunctionType) and function.__name__ not in {"get", "deserialize", "serialize"}
    # Keras has imported all of these itself: nothing is imported by a name from the file.
    definition = vars(sys.modules[module]).get(name) if module in MODULES and module in sys.modules else None
    return isinstance(definition, type) and issubclass(definition, KINDS) and name not in LEFT_OUT


def _named(part: dict[str, Any]) -> str:
    return str(part.get("config") if part["class_name"] == "function" else part["class_name"])


def _is_of_numbers(config: Any) -> bool:
    """Whether an array written out is of numbers; NumPy reserves any size for a type such as `V1000000000`."""
    return isinstance(config, dict) and bool(NUMBER_TYPE.fullmatch(str(config.get("dtype"))))


def _check_name(config: Any) -> None:
    name = config.get("name") if isinstance(config, dict) else None
    if {"/", "\\"} & set(str(name)):  # Keras makes paths of names (CVE-2026-12479)
        raise ValueError(f"it names a layer {name!r}, which is a path")


def _check_calls(calls: Any) -> None:
    """An operation that is called on numbers alone is computed at once, whatever its size."""
    for call in calls if isinstance(calls, list) else ():
        if not any(part["class_name"] == "__keras_tensor__" for part in _described(call)):
            raise ValueError("it calls a layer on nothing that comes from an image")
