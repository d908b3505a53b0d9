"""The public names of eyespot and their types; `__init__.py` imports each when it is first used."""

__version__: str
__all__: list[str]

from .data.dataset import Dataset as Dataset
from .data.dataset import Split as Split
from .data.load import load as load
from .engine.accelerate import accelerate as accelerate
from .errors import EyespotError as EyespotError
from .recipe.schema import Recipe as Recipe
from .run import Run as Run
from .run import open_run as open_run
from .workflow.compare import compare as compare
from .workflow.doctor import doctor as doctor
from .workflow.evaluate import evaluate as evaluate
from .workflow.explain import explain as explain
from .workflow.export import export as export
from .workflow.find_lr import find_lr as find_lr
from .workflow.image_classifier import ImageClassifier as ImageClassifier
from .workflow.look import look as look
from .workflow.predict import predict as predict
from .workflow.report import report as report
from .workflow.reproduce import reproduce as reproduce
from .workflow.serve import serve as serve
from .workflow.study import study as study
from .workflow.train import train as train
from .workflow.tune import tune as tune
