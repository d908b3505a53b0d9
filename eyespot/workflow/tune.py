"""tune: search a recipe's settings on validation data, and train the best few anew before one is believed."""

import json
import signal
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from eyespot.data.dataset import Dataset
from eyespot.data.load import Source, load
from eyespot.data.split import hold_out_test
from eyespot.errors import EyespotError, InterruptedRun, ModelError, RecipeError, check_at_least
from eyespot.files import check_own, rewrite_text
from eyespot.notebook import card, notes, paragraph, table
from eyespot.output import Output, console_for
from eyespot.random import seed_for
from eyespot.recipe.changes import describe_settings
from eyespot.recipe.schema import Recipe
from eyespot.studies.candidates import COLUMNS, Candidate, best_candidate, result_sentence, search_page, table_row
from eyespot.studies.space import (
    Range,
    Space,
    base_values,
    default_space,
    own_value,
    read_space,
    space_of,
    starting_points,
)
from eyespot.training.console import Interrupt
from eyespot.workflow.prepare import own_first, prepare, recipe_for
from eyespot.workflow.repeats import circumstances
from eyespot.workflow.search import (
    OWN,
    Pruning,
    Search,
    TrialResult,
    check_optuna,
    open_search,
    run_trial,
    without_test,
)

SEEDS = 3  # that candidates are trained anew with
CANDIDATES = 3  # the most that are trained anew, besides the recipe itself
SLOWER = 1.15  # how many times as long as before a training may take
SHARE = 0.7  # of the time, at most, for training anew
TOO_LONG = "its time was over"
ROOT = Path("studies")
PAGE, TABLE, BEST = "README.md", "tuning.json", "best.yaml"
USUAL_SECONDS = 120.0


@dataclass(frozen=True)
class Tuning:
    """Result of a search.

    Attributes:
        path: its directory, with `best.yaml`, `tuning.json`, `README.md` and `search.sqlite3`.
        recipe: the best: what `best.yaml` holds.
        candidates: trained anew, the recipe itself first.
        trials: how many ended, pruned ones included.
        pruned: how many were cut short.
        seconds: for all of it, earlier calls included.
    """

    path: Path
    recipe: Recipe
    candidates: tuple[Candidate, ...]
    trials: int
    pruned: int
    seconds: float

    @property
    def found_better(self) -> bool:
        """Whether another recipe has a lower median validation loss over the fresh seeds."""
        return best_candidate(self.candidates).number is not None

    @property
    def sentence(self) -> str:
        """The result in a sentence."""
        return result_sentence(self.candidates, self.trials)

    def __repr__(self) -> str:
        return f"<Tuning {self.path}: {self.sentence}>"

    def _repr_html_(self) -> str:
        """Return the search as a notebook shows it."""
        parts = [
            paragraph(self.sentence),
            table(COLUMNS, map(table_row, self.candidates), text_columns=len(COLUMNS)),
            notes([f"Train the best recipe with train({str(self.path / BEST)!r})."]),
        ]
        subtitle = f"search, {self.trials} trials, {self.pruned} of them stopped early, {self.seconds:.0f} s"
        return card(self.path.resolve().name, subtitle, parts)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "study": str(self.path),
            "recipe": str(self.path / BEST),
            "found_better": self.found_better,
            "candidates": [candidate.to_dict() for candidate in self.candidates],
            "trials": self.trials,
            "pruned": self.pruned,
            "seconds": self.seconds,
            "sentence": self.sentence,
        }


def tune(  # noqa: PLR0913 - each is one setting of the search
    source: Source | None = None,
    *,
    seconds: float | None = None,
    trials: int | None = None,
    space: str | Path | Mapping[str, object] | None = None,
    seed: int | None = None,
    output: str | Path | None = None,
    settings: Mapping[str, object] | None = None,
    verbose: int = 1,
) -> Tuning:
    """Search a recipe's settings for a lower validation loss; the same call goes on with an interrupted search.

    The recipe's own settings are the first trial. At the end the best few and the recipe itself are trained with three
    fresh seeds, and the lowest median wins. Test data is never used.

    Args:
        source: a dataset, or a recipe's name or file.
        seconds: for all of it; None: 120, or without limit where `trials` is given.
        trials: the most trials, besides training anew; None: as many as the time allows.
        space: for each key a list of values, or `low`, `high` and `log`; a file or a mapping; None: a usual one.
        seed: of the trainings, and of what is proposed; None: as the recipe has it.
        output: the search's directory; None: `studies/tune-<name>`.
        settings: keys of the recipe to change first, by their dotted names.
        verbose: 0 prints nothing, 1 prints a line a training.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit, Optuna is not installed, or the time was
            not enough for one training of the recipe itself.
        RunError: the directory holds a search for something else, or a file that would be written over and is not by
            eyespot or was changed.
        InterruptedRun: the user stopped it; the same call goes on.

    Example:
        >>> found = eyespot.tune("digits", seconds=120)
        >>> eyespot.train(recipe=found.recipe)
    """
    started = time.perf_counter()
    check_at_least("trials", trials, 1)
    check_optuna()
    limit = USUAL_SECONDS if seconds is None and trials is None else seconds
    dataset_name, recipe = recipe_for(
        source, None, {**(settings or {}), **({} if seed is None else {"training.seed": seed})}
    )
    out = console_for(verbose)
    full = load(dataset_name, recipe.reading, verbose=verbose, own_first=own_first(source))
    recipe = recipe.with_settings({"dataset": full.origin.path if full.origin else full.name})
    dataset = without_test(hold_out_test(full, recipe.split), recipe)
    searched = recipe.with_settings({"split.test_fraction": None})  # they are held out already
    prepared = prepare(dataset, searched, {}, {}, trust=False, verbose=0)
    base = base_values(recipe, prepared.dataset)
    search_space = _space(space, recipe, base, prepared.dataset)
    folder = Path(output) if output else ROOT / f"tune-{recipe.name or full.name}"
    check_own(*(folder / name for name in (PAGE, TABLE, BEST)))
    description = {
        "recipe": prepared.recipe.model_dump(
            mode="json", by_alias=True, exclude={"checkpoints": True, "published": True, "split": {"test_fraction"}}
        ),
        "dataset": dataset.fingerprint,
        "space": _space_values(search_space),
    }
    warmup = max(1, recipe.training.epochs // 3)
    with (
        open_search(folder, search_space, seed_for(recipe.training.seed, "tune"), warmup, description) as search,
        Interrupt() as interrupt,
    ):
        own_values = {key: own_value(recipe, key, base) for key in search_space}
        search.begin_with(starting_points(search_space, own_values))
        campaign = Campaign(search, dataset, searched, own_values, limit, trials, interrupt, out, folder, started)
        campaign.search_on()
        candidates = campaign.train_anew()
        finished = search.finished
        pruned = sum(bool(trial.user_attrs["why"]) for trial in finished)
        result = Tuning(folder, _best(recipe, candidates), candidates, len(finished), pruned, campaign.elapsed)
    _write(result, recipe, search_space)
    return result


def _space(
    space: str | Path | Mapping[str, Any] | None, recipe: Recipe, base: Mapping[str, Any], dataset: Dataset
) -> Space:
    if space is None:
        return space_of(default_space(recipe, dataset, base), recipe, base, "the usual search space")
    if isinstance(space, Mapping):
        return space_of(space, recipe, base, "the search space")
    return space_of(read_space(Path(space)), recipe, base, str(space))


def _space_values(space: Space) -> dict[str, Any]:
    """A space as plain values."""
    return {key: values.model_dump() if isinstance(values, Range) else values for key, values in space.items()}


class Campaign:
    """A search under way, and its clock.

    Args:
        dataset: without test images.
        own: the recipe's own value of each key of the space.
        limit: seconds for all of it, earlier calls included; None: none.
        trials: the most trials; None: as many as the time allows.
        asked: whether the user wants to stop.
        folder: where the search's file is, for sentences.
        started: when this call began, by `time.perf_counter`.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - all that it goes by
        self,
        search: Search,
        dataset: Dataset,
        recipe: Recipe,
        own: Mapping[str, Any],
        limit: float | None,
        trials: int | None,
        asked: Interrupt,
        out: Console,
        folder: Path,
        started: float,
    ) -> None:
        self.search, self.dataset, self.recipe, self.own = search, dataset, recipe, own
        self.limit, self.trials, self.asked, self.out, self.folder = limit, trials, asked, out, folder
        self.before, self.started = float(search.remembered("seconds", 0.0)), started

    @property
    def elapsed(self) -> float:
        """Seconds, earlier calls included."""
        return self.before + time.perf_counter() - self.started

    def search_on(self) -> None:
        """Tries settings until the time or the number of trials is over; what training anew needs is kept back."""
        while self._may_try():
            trial = self.search.ask()
            is_own = bool(trial.user_attrs.get(OWN))
            changed = {} if is_own else self._settings(trial.params)
            result, why = self._try(changed, Pruning(trial, never=is_own))
            if is_own and why:
                raise EyespotError(self._too_short(result))
            self.search.tell(trial, result, why)
            self.search.remember("seconds", self.elapsed)
            self._say_trial(trial.number, result, why, "the recipe itself" if is_own else describe_settings(changed))

    def train_anew(self) -> tuple[Candidate, ...]:
        """The recipe itself and the best few, each with fresh seeds; after the best, only while there is time."""
        own_trial, best = self.search.own, self.search.best[:CANDIDATES]
        candidates = [self._anew(None, {}, own_trial.value if own_trial else None)]
        for index, trial in enumerate(best):
            needed = SEEDS * SLOWER * trial.user_attrs["steady"]
            if index and self.limit is not None and self.elapsed + needed > self.limit:
                break
            candidates.append(self._anew(trial.number, self._settings(trial.params), trial.value))
        return tuple(candidates)

    def _may_try(self) -> bool:
        finished = self.search.finished
        if self.trials is not None and len(finished) >= self.trials:
            return False
        if self.limit is None or len(finished) < 2:  # noqa: PLR2004 - the recipe itself, and something else
            return True
        usual = median(trial.user_attrs["steady"] for trial in finished)
        return bool(self.elapsed + usual + self._kept_back(usual) < self.limit)

    def _kept_back(self, usual: float) -> float:
        """Seconds that training anew will take: the recipe itself, and as many of the best as may be.

        Args:
            usual: what a candidate takes, where there is none yet.
        """
        own_trial = self.search.own
        own_seconds = own_trial.user_attrs["steady"] if own_trial else 0.0
        best = [trial.user_attrs["steady"] for trial in self.search.best[:CANDIDATES]] or [usual]
        needed = [SEEDS * SLOWER * (own_seconds + sum(best[: count + 1])) for count in range(len(best))]
        affordable = [seconds for seconds in needed if self.limit is not None and seconds < SHARE * self.limit]
        return float(max(affordable, default=needed[0]))

    def _settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The settings that a trial changes in the recipe, to three digits."""
        changed = {key: value for key, value in params.items() if value != self.own[key]}
        return {key: float(f"{value:.3g}") if isinstance(value, float) else value for key, value in changed.items()}

    def _try(self, settings: Mapping[str, Any], pruning: Pruning) -> tuple[TrialResult, str]:
        """Trains the recipe with settings, and says why it was cut short; empty where it was not."""

        # The first candidate may take the time that it would need to be trained anew: better late than without any.
        ends = float("inf") if self.limit is None else self.limit - (self._kept_back(0.0) if self.search.own else 0.0)

        try:
            recipe = self.recipe.with_settings(settings)
            result = run_trial(
                self.dataset, recipe, (pruning,), lambda: self.asked() or pruning.pruned or self.elapsed > ends
            )
        except (RecipeError, ModelError) as error:  # each value fits the recipe, but not all of them together
            return TrialResult("diverged", None, None, 0, 0.0, 0.0), str(error)
        self._check_goes_on()
        if result.ending == "diverged":
            return result, "it diverged"
        return result, ("pruned" if pruning.pruned else TOO_LONG) if result.ending == "interrupted" else ""

    def _anew(self, number: int | None, settings: Mapping[str, Any], searched: float | None) -> Candidate:
        """Trains settings with fresh seeds; what an earlier call did is kept."""
        name = "own" if number is None else str(number)
        losses_by_seed = dict(self.search.remembered("anew", {}).get(name, {}))
        first_seed = self.recipe.training.seed + 1
        for seed in range(first_seed, first_seed + SEEDS):
            if str(seed) not in losses_by_seed:
                recipe = self.recipe.with_settings({**settings, "training.seed": seed})
                result = run_trial(self.dataset, recipe, stop=self.asked)
                self._check_goes_on()
                losses_by_seed[str(seed)] = None if result.ending == "diverged" else result.val_loss
                self.search.remember("anew", {**self.search.remembered("anew", {}), name: losses_by_seed})
                self.search.remember("seconds", self.elapsed)
        losses = {int(seed): float("inf") if loss is None else loss for seed, loss in losses_by_seed.items()}
        text = ", ".join(f"{loss:.4f}" for loss in losses.values())
        candidate = Candidate(number, dict(settings), searched, losses)
        self._say(f"{candidate.name}, trained anew with the seeds {', '.join(losses_by_seed)}: validation loss {text}")
        return candidate

    def _check_goes_on(self) -> None:
        if self.asked():
            self.search.remember("seconds", self.elapsed)
            message = f"Stopped. The same command continues; {self.folder} holds the finished trials."
            raise InterruptedRun(message, self.asked.signal or signal.SIGINT)

    def _too_short(self, result: TrialResult) -> str:
        if result.ending == "diverged":
            return "The recipe itself diverges: lower its learning rate first."
        epochs = max(1, result.epochs)
        needed = result.seconds / epochs * self.recipe.training.epochs * 4 * SEEDS
        return (
            f"The time was over after {result.epochs} epochs of the recipe itself: a search of it needs about "
            f"{needed:,.0f} seconds (`seconds`)."
        )

    def _say_trial(self, number: int, result: TrialResult, why: str, description: str) -> None:
        loss = "-" if result.val_loss is None else f"{result.val_loss:.4f}"
        reason = f", {why}" if why else ""
        self._say(
            f"trial {number}: validation loss {loss}, {result.epochs} epochs, {result.seconds:.1f} s{reason}: "
            f"{description}"
        )

    def _say(self, text: str) -> None:
        Output(self.out).say(text)


def _best(recipe: Recipe, candidates: Sequence[Candidate]) -> Recipe:
    """The winner as a recipe of its own, without what was published of another."""
    best = best_candidate(candidates)
    best_recipe = recipe.with_settings(best.settings)
    if best.number is None:
        return best_recipe
    change = f"found by eyespot tune: {describe_settings(best.settings)}"
    cleared = {"name": None, "description": None, "teaches": None, "published": None}
    return best_recipe.model_copy(update=cleared | {"variation_of": recipe.name, "change": change})


def _write(result: Tuning, recipe: Recipe, space: Space) -> None:
    """The best recipe, and the pages."""
    keys = "\n".join(f"- {key}: {_range_text(values)}" for key, values in space.items())
    summary = f"{result.trials} trials, {result.pruned} of them cut short, in {result.seconds:.0f} s, of:\n\n{keys}"
    title = f"A search for {recipe.name or recipe.dataset}"
    rewrite_text(result.path / PAGE, search_page(title, circumstances(), result.sentence, result.candidates, summary))
    text = json.dumps(result.to_dict() | {"space": _space_values(space)}, indent=2, ensure_ascii=False, allow_nan=False)
    rewrite_text(result.path / TABLE, text + "\n")
    lines = [f"Written by eyespot tune, {circumstances()}.", result.sentence, *summary.splitlines()]
    comment = "\n".join(f"# {line}".rstrip() for text in lines for line in textwrap.wrap(text, 108) or [""])
    rewrite_text(result.path / BEST, f"{comment}\n{result.recipe.dump()}")


def _range_text(values: list[Any] | Range) -> str:
    if isinstance(values, Range):
        return f"{values.low:.4g} to {values.high:.4g}" + (", logarithmic" if values.log else "")
    return ", ".join("none" if value is None else str(value) for value in values)
