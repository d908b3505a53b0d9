"""A search's course: trials while there is time, then the best few trained anew with fresh seeds."""

import signal
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from eyespot.data.dataset import Dataset
from eyespot.errors import EyespotError, InterruptedRun, ModelError, RecipeError
from eyespot.recipe import Recipe
from eyespot.recipe_files import with_settings
from eyespot.studies.tuned import Candidate, differences
from eyespot.training.interrupt import Interrupt
from eyespot.workflow._search import OWN, Pruning, Search
from eyespot.workflow._trial import Tried, try_recipe

SEEDS = 3  # that candidates are trained anew with
CANDIDATES = 3  # at most so many, besides the recipe itself
SLOWER = 1.15  # a training may take so many times as long as it did before
SHARE = 0.7  # of the time, at most, for training anew
TOO_LONG = "its time was over"


class Campaign:
    """A search under way, and its clock.

    Args:
        dataset: without test pictures.
        own: the recipe's own value of each key of the space.
        limit: seconds for all of it, earlier calls included; None: none.
        trials: at most so many; None: as many as the time allows.
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
            tried, why = self._try(changed, Pruning(trial, never=is_own))
            if is_own and why:
                raise EyespotError(self._too_short(tried))
            self.search.tell(trial, tried, why)
            self.search.remember("seconds", self.elapsed)
            self._say_trial(trial.number, tried, why, "the recipe itself" if is_own else differences(changed))

    def train_anew(self) -> tuple[Candidate, ...]:
        """The recipe itself and the best few, each with fresh seeds; after the best, only while there is time."""
        own, best = self.search.own, self.search.best[:CANDIDATES]
        candidates = [self._anew(None, {}, own.value if own else None)]
        for place, trial in enumerate(best):
            needed = SEEDS * SLOWER * trial.user_attrs["steady"]
            if place and self.limit is not None and self.elapsed + needed > self.limit:
                break
            candidates.append(self._anew(trial.number, self._settings(trial.params), trial.value))
        return tuple(candidates)

    def _may_try(self) -> bool:
        done = self.search.finished
        if self.trials is not None and len(done) >= self.trials:
            return False
        if self.limit is None or len(done) < 2:  # noqa: PLR2004 - the recipe itself, and something else
            return True
        usual = median(trial.user_attrs["steady"] for trial in done)
        return bool(self.elapsed + usual + self._kept_back(usual) < self.limit)

    def _kept_back(self, usual: float) -> float:
        """Seconds that training anew will take: the recipe itself, and as many of the best as may be.

        Args:
            usual: what a candidate takes, where there is none yet.
        """
        own = self.search.own
        first = own.user_attrs["steady"] if own else 0.0
        best = [trial.user_attrs["steady"] for trial in self.search.best[:CANDIDATES]] or [usual]
        needed = [SEEDS * SLOWER * (first + sum(best[: count + 1])) for count in range(len(best))]
        affordable = [seconds for seconds in needed if self.limit is not None and seconds < SHARE * self.limit]
        return float(max(affordable, default=needed[0]))

    def _settings(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial changes of the recipe, to three digits."""
        changed = {key: value for key, value in params.items() if value != self.own[key]}
        return {key: float(f"{value:.3g}") if isinstance(value, float) else value for key, value in changed.items()}

    def _try(self, settings: Mapping[str, Any], pruning: Pruning) -> tuple[Tried, str]:
        """Trains the recipe with settings, and says why it was cut short; empty where it was not."""

        # The first candidate may take the time that it would need to be trained anew: better late than without any.
        ends = float("inf") if self.limit is None else self.limit - (self._kept_back(0.0) if self.search.own else 0.0)

        try:
            recipe = with_settings(self.recipe, settings)
            tried = try_recipe(
                self.dataset, recipe, (pruning,), lambda: self.asked() or pruning.pruned or self.elapsed > ends
            )
        except (RecipeError, ModelError) as error:  # each value fits the recipe, but not all of them together
            return Tried("diverged", None, None, 0, 0.0, 0.0), str(error)
        self._check_goes_on()
        if tried.ending == "diverged":
            return tried, "it diverged"
        return tried, ("pruned" if pruning.pruned else TOO_LONG) if tried.ending == "interrupted" else ""

    def _anew(self, number: int | None, settings: Mapping[str, Any], searched: float | None) -> Candidate:
        """Trains settings with fresh seeds; what an earlier call did is kept."""
        name = "own" if number is None else str(number)
        known = dict(self.search.remembered("anew", {}).get(name, {}))
        first = self.recipe.training.seed + 1
        for seed in range(first, first + SEEDS):
            if str(seed) not in known:
                recipe = with_settings(self.recipe, {**settings, "training.seed": seed})
                tried = try_recipe(self.dataset, recipe, stop=self.asked)
                self._check_goes_on()
                known[str(seed)] = None if tried.ending == "diverged" else tried.val_loss
                self.search.remember("anew", {**self.search.remembered("anew", {}), name: known})
                self.search.remember("seconds", self.elapsed)
        losses = {int(seed): float("inf") if loss is None else loss for seed, loss in known.items()}
        told = ", ".join(f"{loss:.4f}" for loss in losses.values())
        done = Candidate(number, dict(settings), searched, losses)
        self._say(f"{done.name}, trained anew with the seeds {', '.join(known)}: validation loss {told}")
        return done

    def _check_goes_on(self) -> None:
        if self.asked():
            self.search.remember("seconds", self.elapsed)
            told = f"Stopped as asked. The same command goes on from there; {self.folder} holds what is done."
            raise InterruptedRun(told, self.asked.signal or signal.SIGINT)

    def _too_short(self, tried: Tried) -> str:
        if tried.ending == "diverged":
            return "The recipe itself diverges: lower its learning rate first."
        epochs = max(1, tried.epochs)
        needed = tried.seconds / epochs * self.recipe.training.epochs * 4 * SEEDS
        return (
            f"The time was over after {tried.epochs} epochs of the recipe itself: a search of it needs about "
            f"{needed:,.0f} seconds (--time)."
        )

    def _say_trial(self, number: int, tried: Tried, why: str, what: str) -> None:
        loss = "-" if tried.val_loss is None else f"{tried.val_loss:.4f}"
        ended = f", {why}" if why else ""
        self._say(
            f"trial {number}: validation loss {loss}, {tried.epochs} epochs, {tried.seconds:.1f} s{ended}: {what}"
        )

    def _say(self, text: str) -> None:
        self.out.print(text, markup=False, highlight=False, soft_wrap=True)
