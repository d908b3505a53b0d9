"""Eyespot: small image classifiers, from labelled pictures to a model you can trust.

The verbs are functions here and commands in the terminal: `look`, `train`, `evaluate`, `predict`, `explain`, `report`,
`compare`, `study`, `tune`, `reproduce`, `doctor`, and `find_lr`, which is `train --find-lr`; `load` reads a dataset and
`open_run` a finished run; `accelerate` makes a Keras model of your own run on the engine. Nothing heavy is imported
until one of them is used.
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if "keras" not in sys.modules:  # else `eyespot.backend` looks at what it runs on
    os.environ["KERAS_BACKEND"] = "torch"
# PyTorch's threads wait for one another in a busy loop. Beside other busy programs that starves the thread waited for:
# with a load of 4 on 2 cores a training took two to three times as long by default, and on a quiet machine no less.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# ONNX Runtime, since 1.29, otherwise reports to its makers which models are opened, and keeps an identifier at home.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
# MLflow, since 3.2, likewise reports how it is used; it reads this when it is imported and with every report.
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

__version__ = "0.1.1"

if TYPE_CHECKING:
    from eyespot.data.dataset import Dataset as Dataset
    from eyespot.data.dataset import Split as Split
    from eyespot.data.load import load as load
    from eyespot.engine.accelerate import accelerate as accelerate
    from eyespot.errors import EyespotError as EyespotError
    from eyespot.recipe.schema import Recipe as Recipe
    from eyespot.run import Run as Run
    from eyespot.run import open_run as open_run
    from eyespot.workflow.compare import compare as compare
    from eyespot.workflow.doctor import doctor as doctor
    from eyespot.workflow.evaluate import evaluate as evaluate
    from eyespot.workflow.explain import explain as explain
    from eyespot.workflow.export import export as export
    from eyespot.workflow.find_lr import find_lr as find_lr
    from eyespot.workflow.look import look as look
    from eyespot.workflow.predict import predict as predict
    from eyespot.workflow.report import report as report
    from eyespot.workflow.reproduce import reproduce as reproduce
    from eyespot.workflow.serve import serve as serve
    from eyespot.workflow.study import study as study
    from eyespot.workflow.train import train as train
    from eyespot.workflow.tune import tune as tune

_HOMES = {
    "Dataset": "eyespot.data.dataset",
    "EyespotError": "eyespot.errors",
    "Recipe": "eyespot.recipe.schema",
    "Run": "eyespot.run",
    "Split": "eyespot.data.dataset",
    "accelerate": "eyespot.engine.accelerate",
    "compare": "eyespot.workflow.compare",
    "doctor": "eyespot.workflow.doctor",
    "evaluate": "eyespot.workflow.evaluate",
    "explain": "eyespot.workflow.explain",
    "export": "eyespot.workflow.export",
    "find_lr": "eyespot.workflow.find_lr",
    "load": "eyespot.data.load",
    "look": "eyespot.workflow.look",
    "open_run": "eyespot.run",
    "predict": "eyespot.workflow.predict",
    "report": "eyespot.workflow.report",
    "reproduce": "eyespot.workflow.reproduce",
    "serve": "eyespot.workflow.serve",
    "study": "eyespot.workflow.study",
    "train": "eyespot.workflow.train",
    "tune": "eyespot.workflow.tune",
}

__all__ = ["__version__", *_HOMES]  # noqa: PLE0604 - the names are the keys above


def __getattr__(name: str) -> Any:
    """Imports a public name on first use, so that `import eyespot` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'eyespot' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
