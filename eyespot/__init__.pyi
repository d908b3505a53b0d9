"""The public names of eyespot and their types; `__init__.py` imports each when it is first used."""

__version__: str
__all__: list[str]

from .data.dataset import Dataset as Dataset
from .data.dataset import Split as Split
from .data.load import Source as Source
from .engine.accelerate import accelerate as accelerate
from .errors import DataError as DataError
from .errors import EyespotError as EyespotError
from .errors import ModelError as ModelError
from .errors import PictureError as PictureError
from .errors import RecipeError as RecipeError
from .errors import RunError as RunError
from .evaluation.metrics import Evaluation as Evaluation
from .inference.predictor import Prediction as Prediction
from .inference.predictor import Predictor as Predictor
from .recipe.option_types import LookOptions as LookOptions
from .recipe.option_types import PictureOptions as PictureOptions
from .recipe.option_types import RecipeOptions as RecipeOptions
from .recipe.schema import Recipe as Recipe
from .run import Run as Run
from .run import open_run as open_run
from .serving.limits import ServerLimits as ServerLimits
from .serving.server import BackgroundServer as BackgroundServer
from .training.history import History as History
from .training.verdict import Verdict as Verdict
from .workflow.compare import Comparison as Comparison
from .workflow.compare import compare as compare
from .workflow.doctor import DoctorReport as DoctorReport
from .workflow.doctor import doctor as doctor
from .workflow.evaluate import EvaluationResult as EvaluationResult
from .workflow.evaluate import evaluate as evaluate
from .workflow.explain import Explanations as Explanations
from .workflow.explain import explain as explain
from .workflow.export import ExportResult as ExportResult
from .workflow.export import export as export
from .workflow.find_lr import LearningRateSuggestion as LearningRateSuggestion
from .workflow.find_lr import find_lr as find_lr
from .workflow.image_classifier import ImageClassifier as ImageClassifier
from .workflow.load import load as load
from .workflow.look import Look as Look
from .workflow.look import look as look
from .workflow.predict import predict as predict
from .workflow.report import ReportResult as ReportResult
from .workflow.report import report as report
from .workflow.reproduce import Reproduction as Reproduction
from .workflow.reproduce import reproduce as reproduce
from .workflow.serve import serve as serve
from .workflow.study import Study as Study
from .workflow.study import study as study
from .workflow.train import Training as Training
from .workflow.train import train as train
from .workflow.tune import Tuning as Tuning
from .workflow.tune import tune as tune
