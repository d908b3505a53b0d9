"""What executes a prepared training."""

from collections.abc import Callable
from typing import Any

from eyespot.engine.kernels.cpu import are_compiled
from eyespot.engine.precision import dtype_for
from eyespot.errors import ModelError
from eyespot.training.program import EngineProgram, KerasProgram
from eyespot.workflow._prepare import Prepared


def program_for(prepared: Prepared, steps: int, say: Callable[[str], None]) -> EngineProgram | KerasProgram:
    """The engine's program; Keras's where that is asked for, or where the engine cannot.

    Args:
        steps: of an epoch.
        say: is told which, and why.
    """
    model, recipe = prepared.model, prepared.recipe.training
    fed: dict[str, Any] = {"changes": prepared.changes, "class_weights": prepared.class_weights}
    if recipe.engine == "eyespot":
        dtype = dtype_for(recipe.precision)
        try:
            program = EngineProgram(model, recipe, steps, dtype, **fed)
        except ModelError as error:
            say(f"Note: Keras runs this model, not the engine: {error}")
        else:
            left = {name for name, how in program.lowered.lowering if how == "Keras"}
            told = f", but Keras runs {', '.join(sorted(left))}" if left else ""
            say(f"The engine runs this model in {str(dtype).removeprefix('torch.')}{told}.")
            if program.lowered.kernels == "cpu" and not are_compiled():
                say("Its kernels are compiled for this processor now, once: some ten seconds.")
            return program
    return KerasProgram(model, recipe, steps, **fed)
