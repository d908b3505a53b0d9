"""Fusion: runs of stages that one kernel does in one pass over memory.

A convolution, dense layer or batch normalisation and the maximum pool, (leaky) ReLU and dropout that follow it, in any
order that gives the same numbers. Batch normalisation takes part on the processor only. Without kernels (extra `fast`)
the stages stay as they are, which only costs speed.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from eyespot.engine.epilogue_spec import EpilogueSpec, PoolWindow
from eyespot.engine.kernels import Kernels
from eyespot.engine.lowering import PlacedStage
from eyespot.engine.stage import Parameter, Parameters, Stage
from eyespot.engine.stages.linear import ConvolutionStage, DenseStage
from eyespot.engine.stages.normalization import BatchNormalizationStage
from eyespot.engine.stages.pointwise import DropoutStage, LeakyReluStage
from eyespot.engine.stages.pooling import MaxPoolStage

LINEAR = ConvolutionStage | DenseStage
TAIL = MaxPoolStage | LeakyReluStage | DropoutStage
LARGEST_WINDOW = 64  # places of a window that fit in the byte an output's backward pass needs
Epilogue = Callable[[EpilogueSpec, Parameter | None], Stage]


def fuse(lowered: list[PlacedStage], parameters: Parameters, kernels: Kernels | None) -> list[PlacedStage]:
    """The same program in fewer stages; values keep their order, so their positions are counted anew."""
    if kernels is None:
        return lowered
    heads = LINEAR | BatchNormalizationStage if kernels == "cpu" else LINEAR
    epilogue = _epilogue(kernels)
    uses = Counter(position for placed in lowered for position in placed.inputs)
    fused: list[PlacedStage] = []
    positions = {0: 0}
    start = 0
    while start < len(lowered):
        head = lowered[start]
        has_head = isinstance(head.stage, heads)
        followers = _followers(lowered, start + has_head, uses, has_head=has_head)
        stages = _behind(head, followers, parameters, epilogue) if has_head else _alone(followers, epilogue) or [head]
        inputs = tuple(positions[position] for position in head.inputs)
        for placed in stages:
            fused.append(replace(placed, inputs=inputs))
            inputs = (len(fused),)
        start += max(1, has_head + len(followers))
        positions[start] = len(fused)
    return fused


def _epilogue(kernels: Kernels) -> Epilogue:
    """The stage class that runs a tail in one pass."""
    if kernels == "cuda":
        from eyespot.engine.stages.epilogue_cuda import CudaEpilogueStage

        return CudaEpilogueStage
    from eyespot.engine.kernels.cpu.numba_support import match_threads
    from eyespot.engine.stages.epilogue import EpilogueStage

    match_threads()
    return EpilogueStage


def _followers(lowered: list[PlacedStage], start: int, uses: Counter[int], *, has_head: bool) -> list[PlacedStage]:
    """The stages from here on that one pass can do, each the only one to use what the one before gives."""
    run: list[PlacedStage] = []
    for index, placed in enumerate(lowered[start:], start):
        continues = placed.inputs == (index,) and uses[index] == 1 if has_head or run else placed.inputs != (0,)
        if not continues or not _fits([earlier.stage for earlier in run], placed.stage):
            break
        run.append(placed)
    return run


def _fits(stages: list[Stage], stage: Stage) -> bool:
    """Whether a stage may join those: each kind once, no pool after dropout, windows that do not overlap."""
    if not isinstance(stage, TAIL) or type(stage) in {type(earlier) for earlier in stages}:
        return False
    if isinstance(stage, MaxPoolStage):
        small = stage.window[0] * stage.window[1] <= LARGEST_WINDOW
        return stage.window == stage.stride and small and not any(isinstance(s, DropoutStage) for s in stages)
    return True


def _behind(
    head: PlacedStage, followers: list[PlacedStage], parameters: Parameters, epilogue: Epilogue
) -> list[PlacedStage]:
    """A linear layer and its epilogue, or batch normalisation with what follows in it."""
    stage = head.stage
    if isinstance(stage, BatchNormalizationStage):
        from eyespot.engine.stages.epilogue import NormalizedEpilogueStage

        normalized = NormalizedEpilogueStage(stage.layer, _tail(followers), parameters)
        return [replace(head, stage=normalized, name=_name([head, *followers]))]
    if not followers or not isinstance(stage, LINEAR):
        return [head]
    stage.sums_bias = False
    behind = epilogue(_tail(followers), stage.bias)
    return [head, replace(head, stage=behind, name=_name(followers), needs_input_gradient=head.learns)]


def _tail(run: list[PlacedStage]) -> EpilogueSpec:
    tail = EpilogueSpec(tuple(placed.stage.how for placed in run))
    for placed in run:
        match placed.stage:
            case MaxPoolStage() as pool:
                left, _, top, _ = pool.around
                tail = replace(
                    tail, window=PoolWindow(pool.window[0], pool.window[1], top, left), output_sides=pool.output_sides
                )
            case LeakyReluStage() as activation:
                tail = replace(tail, slope=activation.slope)
            case DropoutStage() as dropout:
                tail = replace(tail, rate=dropout.rate, index=dropout.index)
    return tail


def _name(run: list[PlacedStage]) -> str:
    return " + ".join(dict.fromkeys(placed.name for placed in run))


def _alone(run: list[PlacedStage], epilogue: Epilogue) -> list[PlacedStage]:
    return [replace(run[0], stage=epilogue(_tail(run), None), name=_name(run))] if run else []
