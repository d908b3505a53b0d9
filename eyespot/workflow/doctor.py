"""doctor: what executes a run's model on this machine, and why."""

from dataclasses import asdict, dataclass
from typing import Any

from eyespot.backend import keras
from eyespot.engine.hardware import dtype_for, dtype_reason
from eyespot.engine.kernels import why_unavailable
from eyespot.engine.lowered_program import LoweredProgram
from eyespot.errors import ModelError
from eyespot.models.graph import all_layers
from eyespot.notebook import card, paragraph, table
from eyespot.run import Run, RunLike, open_run
from eyespot.training.program import EngineProgram


@dataclass(frozen=True)
class ProgramPart:
    """One piece of what runs.

    Attributes:
        layer: the layer it comes from; several, joined by +, where one kernel does them in one pass.
        how: what runs it.
        parameters: how many weights it uses; those it shares with a part before it do not count again.
    """

    layer: str
    how: str
    parameters: int


@dataclass(frozen=True)
class DoctorReport:
    """Result of `doctor`.

    Attributes:
        run: the model's run.
        engine: eyespot, or keras for all of the model.
        reason: why Keras runs all of it; None where it does not.
        parts: in the order they run.
        optimizer: its name.
        optimizer_how: what runs its update: fused, or Keras.
        precision: the dtype of activations and products.
        precision_reason: why it is that.
        unfused: why no kernels do several layers in one pass; None where they do, or where Keras runs all of it.
    """

    run: Run
    engine: str
    reason: str | None
    parts: list[ProgramPart]
    optimizer: str
    optimizer_how: str
    precision: str
    precision_reason: str
    unfused: str | None

    @property
    def left_to_keras(self) -> list[str]:
        """The layers that Keras runs."""
        return list(dict.fromkeys(part.layer for part in self.parts if part.how == "Keras"))

    def sentences(self) -> list[str]:
        """Return what runs the model, the optimizer's update and the precision, a sentence each."""
        left = ", ".join(self.left_to_keras)
        engine = f"eyespot; Keras runs {left}" if left else "eyespot"
        lines = [
            f"Engine: {f'Keras, because {self.reason}' if self.reason else engine}.",
            f"Optimizer: {self.optimizer}, {'fused' if self.optimizer_how == 'fused' else 'by Keras'}.",
            f"Precision: {self.precision}, because {self.precision_reason}.",
        ]
        return [*lines, f"No fused kernels, which makes training slower: {self.unfused}."] if self.unfused else lines

    def __repr__(self) -> str:
        return f"<DoctorReport of {self.run.path}. {' '.join(self.sentences())}>"

    def _repr_html_(self) -> str:
        """Return the report as a notebook shows it."""
        rows = [(part.layer, part.how, f"{part.parameters:,}" if part.parameters else "") for part in self.parts]
        parts = [*map(paragraph, self.sentences()), table(("layer", "runs as", "parameters"), rows, text_columns=2)]
        return card(self.run.name, "what executes the model on this machine", parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "run": str(self.run.path),
            "engine": self.engine,
            "reason": self.reason,
            "parts": [asdict(part) for part in self.parts],
            "left_to_keras": self.left_to_keras,
            "optimizer": {"name": self.optimizer, "how": self.optimizer_how},
            "precision": {"dtype": self.precision, "reason": self.precision_reason},
            "unfused": self.unfused,
        }


def doctor(run: RunLike) -> DoctorReport:
    """Prepare a run's model for training as `train` would on this machine, and say what executes each part of it.

    Args:
        run: a run, or its directory.

    Raises:
        RunError: the run is missing or half there.
        ModelError: its model cannot be opened.

    Example:
        >>> eyespot.doctor("runs/digits-cnn-1").left_to_keras
    """
    opened = open_run(run)
    recipe, model = opened.recipe.training, opened.model()
    if recipe.engine == "keras":
        return _by_keras(opened, model, "the recipe asks for it")
    dtype = dtype_for(recipe.precision)
    try:
        program = EngineProgram(model, recipe, 1, dtype).lowered
    except ModelError as error:
        return _by_keras(opened, model, str(error).rstrip("."))
    optimizer_how, dtype_name, reason = (
        program.optimizer_how,
        str(dtype).removeprefix("torch."),
        dtype_reason(recipe.precision),
    )
    return DoctorReport(
        opened,
        "eyespot",
        None,
        _parts(program),
        recipe.optimizer,
        optimizer_how,
        dtype_name,
        reason,
        why_unavailable(program.device.type),
    )


def _by_keras(run: Run, model: keras.Model, reason: str) -> DoctorReport:
    layers = [layer for layer in all_layers(model) if not isinstance(layer, keras.Model | keras.layers.InputLayer)]
    parts = [
        ProgramPart(layer.name, "Keras", sum(w.value.numel() for w in layer.trainable_variables)) for layer in layers
    ]
    name = run.recipe.training.optimizer
    return DoctorReport(run, "keras", reason, parts, name, "Keras", "float32", "Keras computes in it", None)


def _parts(program: LoweredProgram) -> list[ProgramPart]:
    counted: set[int] = set()
    parts = []
    for lowered in program.stages:
        new_parameters = {
            id(parameter): parameter for parameter in lowered.stage.parameters if id(parameter) not in counted
        }
        counted |= new_parameters.keys()
        weights = sum(parameter.master.numel() for parameter in new_parameters.values())
        parts.append(ProgramPart(lowered.name, lowered.stage.how, weights))
    return parts
