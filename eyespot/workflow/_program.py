"""What executes a training's model."""

from typing import Any

from eyespot.engine.kernels.cpu import are_compiled
from eyespot.engine.precision import dtype_for
from eyespot.errors import ModelError
from eyespot.output import Output
from eyespot.training.program import EngineProgram, KerasProgram
from eyespot.workflow._prepare import Prepared


def program_for(prepared: Prepared, steps: int, out: Output) -> EngineProgram | KerasProgram:
    """What executes the model; Keras itself where that is asked for, or where the engine cannot."""
    model, recipe = prepared.model, prepared.recipe.training
    fed: dict[str, Any] = {"changes": prepared.changes, "class_weights": prepared.class_weights}
    if recipe.engine == "eyespot":
        dtype = dtype_for(recipe.precision)
        try:
            program = EngineProgram(model, recipe, steps, dtype, **fed)
        except ModelError as error:
            out.say(f"Note: Keras runs this model, not the engine: {error}")
        else:
            left = {name for name, how in program.lowered.lowering if how == "Keras"}
            told = f", but Keras runs {', '.join(sorted(left))}" if left else ""
            out.say(f"The engine runs this model in {str(dtype).removeprefix('torch.')}{told}.")
            if program.lowered.kernels == "cpu" and not are_compiled():
                out.say("Its kernels are compiled for this processor now, once: some ten seconds.")
            return program
    return KerasProgram(model, recipe, steps, **fed)
