"""Eyespot: small image classifiers, from labelled images to a model you can trust.

The verbs are functions here and commands in the terminal: `look`, `train`, `evaluate`, `predict`, `explain`, `report`,
`compare`, `study`, `tune`, `reproduce`, `doctor`, and `find_lr`, which suggests a learning rate; `load` reads a dataset
and `open_run` a finished run; `accelerate` makes a Keras model of your own run on the engine. Nothing heavy is imported
until one of them is used, and nothing in the process is changed.
"""

import lazy_loader

__version__ = "0.2.0"

# `__init__.pyi` lists the public names and where they are, for type checkers and for this.
__getattr__, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *_names]  # noqa: PLE0604 - the names that the stub lists


def __dir__() -> list[str]:
    return sorted(__all__)
