"""Eyespot: small image classifiers, from labelled pictures to a model you can trust.

The verbs are functions here and commands in the terminal: `look`, `train`, `evaluate`, `predict`, `explain`, `report`,
`compare`, `study`, `tune`, `reproduce`, `doctor`, and `find_lr`, which is `train --find-lr`; `load` reads a dataset and
`open_run` a finished run; `accelerate` makes a Keras model of your own run on the engine. Nothing heavy is imported
until one of them is used.
"""

import os
import sys

import lazy_loader

if "keras" not in sys.modules:  # else `eyespot.backend` looks at what it runs on
    os.environ["KERAS_BACKEND"] = "torch"
# PyTorch's threads wait for each other in a busy loop. Beside other busy programs that starves the thread waited for:
# with a load of 4 on 2 cores a training took two to three times as long by default, and on a quiet machine no less.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# ONNX Runtime, since 1.29, otherwise reports to its makers which models are opened, and keeps an identifier at home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# MLflow, since 3.2, also reports how it is used; it reads this when it is imported and with every report.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.2.0"

# `__init__.pyi` lists the public names and where they are, for type checkers and for this.
__getattr__, _, _names = lazy_loader.attach_stub(__name__, __file__)
__all__ = ["__version__", *_names]  # noqa: PLE0604 - the names that the stub lists


def __dir__() -> list[str]:
    return sorted(__all__)
