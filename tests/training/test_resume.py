"""A training that goes on from any step ends as if it had never been interrupted."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eyespot.data.augment.policy import changes_for
from eyespot.data.class_balance import balanced_weights
from eyespot.data.dataset import Dataset
from eyespot.data.split import split
from eyespot.errors import CheckpointError
from eyespot.models.architectures import build_recipe
from eyespot.recipe.schema import CheckpointRecipe, Recipe
from eyespot.training.checkpoint import Checkpoints, TrainingState, latest_state
from eyespot.training.fit import Outcome, fit
from eyespot.training.program import EngineProgram, KerasProgram, Program

EVERYTHING = Recipe.parse(
    {
        "model": {
            "layers": [
                {"layer": "RandomTranslation", "height_factor": 0.1, "width_factor": 0.1},
                {"layer": "Conv2D", "filters": 4, "kernel_size": 3, "use_bias": False},
                {"layer": "BatchNormalization"},
                {"layer": "ReLU"},
                {"layer": "Flatten"},
                {"layer": "Dropout", "rate": 0.3},
                {"layer": "Dense", "units": "classes", "activation": "softmax"},
            ]
        },
        "split": {"method": "last", "fraction": 0.2},
        "training": {
            "epochs": 2,
            "batch_size": 14,
            "schedule": "cosine",
            "warmup_epochs": 0.5,
            "average": 0.9,
            "patience": 1,
            "seed": 3,
        },
    }
)


class EveryStep:
    """Keeps the state after every step, as it would be read from the disk."""

    def __init__(self) -> None:
        self.states: list[TrainingState] = []

    def are_due(self, steps: int, *, epoch_ends: bool) -> bool:
        return True

    def save(self, state: TrainingState) -> None:
        values, arrays = state.parts()
        copies = {name: array.copy() for name, array in arrays.items()}
        self.states.append(TrainingState.from_parts(json.loads(json.dumps(values)), copies, "memory"))


def program_for(dataset: Dataset, recipe: Recipe, engine: str) -> Program:
    model = build_recipe(recipe, dataset.input_shape, dataset.classes)
    steps = recipe.training.steps_for(len(dataset.train))
    fed: dict[str, Any] = {"changes": changes_for(recipe.augmentation)}
    if recipe.training.class_weights:
        fed["class_weights"] = balanced_weights(dataset.train.labels, dataset.classes)
    if engine == "keras":
        return KerasProgram(model, recipe.training, steps, **fed)
    return EngineProgram(model, recipe.training, steps, getattr(torch, engine), **fed)


def digest(program: Program, outcome: Outcome) -> str:
    """Of weights, optimizer, history, losses of validation images and how it ended; times differ."""
    bits = hashlib.sha256()
    losses = [] if outcome.evidence is None else [outcome.evidence.validation_losses]
    for array in (*program.weights(), *program.optimizer_state(), *losses):
        bits.update(np.ascontiguousarray(array).tobytes())
    timeless = [
        {k: v for k, v in row.items() if k not in {"seconds", "images_per_second"}} for row in outcome.history.rows
    ]
    bits.update(json.dumps([timeless, outcome.ending, outcome.kept_epoch]).encode())
    return bits.hexdigest()


EVERY_WAY = [("float32", "best"), ("bfloat16", "last"), ("keras", "best"), ("float32", "last"), ("bfloat16", "best")]
LONG = [pytest.param(*way, marks=pytest.mark.slow) for way in EVERY_WAY[1:]]


@pytest.mark.parametrize(("engine", "keep"), [EVERY_WAY[0], *LONG])
def test_resumed_from_every_step_it_ends_the_same(bars: Dataset, engine: str, keep: str):
    """Shuffling, augmentation, dropout, batch normalisation, Adam, warm-up and cosine, averaging, early stopping."""
    recipe = EVERYTHING.with_options({"keep": keep})
    dataset = split(bars, recipe.split, 0)
    whole, every = program_for(dataset, recipe, engine), EveryStep()
    expected = digest(whole, fit(whole, dataset, recipe.training, keeper=every))
    assert [state.steps for state in every.states[:-1]] == list(range(1, 15))
    for state in every.states:
        program = program_for(dataset, recipe, engine)
        outcome = fit(program, dataset, recipe.training, start=state)
        assert digest(program, outcome) == expected, f"after {state.steps} steps"


CHANGED = {"policy": "photos", "rotate": 15, "mixup": 0.4, "cutmix": 1.0}


@pytest.mark.parametrize("balance", ["class_weights", "resample"])
@pytest.mark.parametrize("engine", ["float32", "keras"])
def test_resumed_with_augmentation_it_ends_the_same(bars: Dataset, engine: str, balance: str):
    """Moving, shading, erasing, mixup and cutmix, class weights and balanced orders are functions of the step too."""
    recipe = Recipe.parse(EVERYTHING.model_dump(by_alias=True) | {"augmentation": CHANGED})
    recipe = recipe.with_options({balance: "balanced"})
    uneven = replace(bars, train=bars.train.take(np.flatnonzero((bars.train.labels < 2) | (np.arange(120) % 3 == 0))))
    dataset = split(uneven, recipe.split, 0)
    whole, every = program_for(dataset, recipe, engine), EveryStep()
    expected = digest(whole, fit(whole, dataset, recipe.training, keeper=every))
    for state in every.states[2::5]:
        program = program_for(dataset, recipe, engine)
        assert digest(program, fit(program, dataset, recipe.training, start=state)) == expected, state.steps
    plain = Recipe.parse(recipe.model_dump(by_alias=True) | {"augmentation": CHANGED | {"mixup": 0.0}})
    other = program_for(dataset, plain, engine)
    assert digest(other, fit(other, dataset, plain.training)) != expected


def test_the_digest_would_tell(bars: Dataset):
    """A control: a state whose optimizer has lost a step, or whose mean is another, ends otherwise."""
    recipe = EVERYTHING
    dataset = split(bars, recipe.split, 0)
    whole, every = program_for(dataset, recipe, "float32"), EveryStep()
    expected = digest(whole, fit(whole, dataset, recipe.training, keeper=every))
    state = every.states[3]
    moved = [np.asarray(state.optimizer[0] - 1), *state.optimizer[1:]]
    lost = state.position.model_copy(update={"loss_sum": state.position.loss_sum + 1e-9})
    for changed in (
        TrainingState(state.position, state.weights, moved, state.last, state.best),
        TrainingState(lost, state.weights, state.optimizer, state.last, state.best),
    ):
        program = program_for(dataset, recipe, "float32")
        assert digest(program, fit(program, dataset, recipe.training, start=changed)) != expected


def test_the_schedule_reaches_its_end(bars: Dataset):
    """Learning rates rise to the highest in half an epoch, and fall to almost nothing by the last step."""
    dataset = split(bars, EVERYTHING.split, 0)
    program = program_for(dataset, EVERYTHING, "float32")
    rates = []

    class Rates(EveryStep):
        def save(self, state: TrainingState) -> None:
            rates.append(program.learning_rate)

    fit(program, dataset, EVERYTHING.training, keeper=Rates())
    assert max(rates) == pytest.approx(1e-3, rel=0.1)
    assert rates[0] < max(rates)
    assert rates[-1] < 1e-5


@pytest.mark.parametrize("schedule", ["linear", "exponential"])
def test_other_schedules_fall(bars: Dataset, schedule: str):
    """Linear ends at nothing, exponential at a hundredth."""
    recipe = EVERYTHING.with_options({"schedule": schedule, "warmup_epochs": 0, "epochs": 3})
    dataset = split(bars, recipe.split, 0)
    program = program_for(dataset, recipe, "float32")
    rates = fit(program, dataset, recipe.training.model_copy(update={"early_stopping": False})).history.column(
        "learning_rate"
    )
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == pytest.approx(0 if schedule == "linear" else 1e-5, abs=1e-8)


def test_what_is_judged_is_the_average(bars: Dataset):
    """With averaging, the kept weights are the averages: they have the validation loss that the history has."""
    recipe = EVERYTHING.with_options({"keep": "last", "epochs": 1})
    dataset = split(bars, recipe.split, 0)
    program = program_for(dataset, recipe, "float32")
    outcome = fit(program, dataset, recipe.training)
    assert dataset.validation is not None
    assert program.evaluate(dataset.validation).loss == outcome.history.rows[-1]["val_loss"]
    plain = recipe.model_copy(update={"training": recipe.training.model_copy(update={"average": None})})
    other = program_for(dataset, plain, "float32")
    fit(other, dataset, plain.training)
    assert not np.array_equal(program.weights()[0], other.weights()[0])


def save_all(folder: Path, states: list[TrainingState], keep: int = 2) -> None:
    checkpoints = Checkpoints(folder, CheckpointRecipe(every_steps=1, keep=keep), pytest.fail)
    for state in states:
        checkpoints.save(state)


def states_of(bars: Dataset) -> list[TrainingState]:
    recipe = EVERYTHING
    dataset, every = split(bars, recipe.split, 0), EveryStep()
    fit(program_for(dataset, recipe, "float32"), dataset, recipe.training, keeper=every)
    return every.states


def test_the_last_ones_are_kept_and_the_newest_is_read(bars: Dataset, tmp_path: Path):
    """Older checkpoints go; a damaged newest one is told, and the one before it is taken."""
    states = states_of(bars)[:11]
    save_all(tmp_path, states)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000000010", "step-000000011"]
    told: list[str] = []
    newest = latest_state(tmp_path, told.append)
    assert newest is not None
    assert (newest.steps, told) == (11, [])
    (tmp_path / "step-000000011" / "state.json").write_text("{}")
    before = latest_state(tmp_path, told.append)
    assert before is not None
    assert before.steps == 10
    assert "step-000000011 is damaged" in told[0]
    (tmp_path / "step-000000010" / "arrays.npz").unlink()
    assert latest_state(tmp_path, told.append) is None


def test_equal_weights_are_stored_once(bars: Dataset):
    """At the end of an epoch without averaging, the last weights are the current ones."""
    state = states_of(bars)[2]
    once = TrainingState(state.position, state.weights, state.optimizer, state.weights, state.weights)
    values, arrays = once.parts()
    assert values["same"] == {"last": "weights", "best": "weights"}
    assert len(arrays) == len(state.weights) + len(state.optimizer)


def test_when_they_are_due(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By steps and minutes where these are asked for, and every epoch; else so that they cost a hundredth."""
    now = [0.0]
    monkeypatch.setattr("eyespot.training.checkpoint.time.monotonic", lambda: now[0])
    by_steps = Checkpoints(tmp_path, CheckpointRecipe(every_steps=3), print)
    assert [by_steps.are_due(step, epoch_ends=False) for step in (1, 2, 3, 4)] == [False, False, True, False]
    assert by_steps.are_due(4, epoch_ends=True)
    by_time = Checkpoints(tmp_path, CheckpointRecipe(every_minutes=2), print)
    usual = Checkpoints(tmp_path, CheckpointRecipe(), print)
    now[0] = 119
    assert not by_time.are_due(1, epoch_ends=False)
    assert usual.are_due(1, epoch_ends=False)
    now[0] = 120
    assert by_time.are_due(1, epoch_ends=False)

    def slow(*_: Any) -> None:
        now[0] += 2

    monkeypatch.setattr("eyespot.training.checkpoint.write_checkpoint", slow)
    usual.save(TrainingState(position(), [], [], []))
    now[0] += 199
    assert not usual.are_due(2, epoch_ends=True)
    now[0] += 1
    assert usual.are_due(2, epoch_ends=False)


def position(**values: Any) -> Any:
    from eyespot.training.checkpoint import TrainingPosition

    return TrainingPosition(**{"seed": 0, "epochs_done": 0, "steps_done": 1, "first_step": 0, **values})


def test_a_full_disk_is_told_and_training_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What cannot be written now may be written later."""
    told: list[str] = []
    checkpoints = Checkpoints(tmp_path, CheckpointRecipe(), told.append)

    def full(*_: Any) -> None:
        raise CheckpointError("The checkpoint x cannot be written: No space left on device.")

    monkeypatch.setattr("eyespot.training.checkpoint.write_checkpoint", full)
    checkpoints.save(TrainingState(position(), [], [], []))
    monkeypatch.undo()
    assert "No space left on device. Training goes on" in told[0]
    checkpoints.save(TrainingState(position(), [], [], []))
    assert latest_state(tmp_path, told.append) is not None


@pytest.mark.parametrize(
    "broken",
    [
        lambda values, arrays: values.pop("position"),
        lambda values, arrays: values["position"].update(epochs_done=-1),
        lambda values, arrays: values["position"].update(unknown=1),
        lambda values, arrays: values.update(same={"last": "nothing"}),
        lambda values, arrays: arrays.pop("weights/0"),
        lambda values, arrays: arrays.update({"weights/x": np.zeros(1)}),
    ],
)
def test_a_state_that_does_not_add_up_is_damaged(broken: Any):
    """Each part is checked before it is used."""
    state = TrainingState(position(), [np.zeros(2), np.ones(3)], [np.zeros(1)], [np.zeros(2), np.ones(3)])
    values, arrays = state.parts()
    broken(values, arrays)
    with pytest.raises(CheckpointError, match="somewhere is damaged"):
        TrainingState.from_parts(values, arrays, "somewhere")


def test_a_state_of_another_model_is_told(bars: Dataset):
    """Weights that do not fit are refused in words, before anything is changed."""
    dataset = split(bars, EVERYTHING.split, 0)
    program = program_for(dataset, EVERYTHING, "float32")
    before = [weight.copy() for weight in program.weights()]
    state = TrainingState(position(), [np.zeros((2, 2), np.float32)], [], [])
    with pytest.raises(CheckpointError, match="of another model"):
        fit(program, dataset, EVERYTHING.training, start=state)
    assert all(np.array_equal(a, b) for a, b in zip(before, program.weights(), strict=True))


def test_no_loss_is_no_number() -> None:
    """The lowest loss of none is infinite, which JSON has no word for."""
    values, _ = TrainingState(position(best_loss=None), [], [], []).parts()
    assert math.isfinite(values["position"]["loss_sum"])
    json.dumps(values, allow_nan=False)
