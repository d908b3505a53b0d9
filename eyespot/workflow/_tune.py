"""tune: search a recipe's settings on validation data, and train the best few anew before one is believed."""

import json
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from eyespot.data.dataset import Dataset
from eyespot.data.source import load
from eyespot.files import check_own, rewrite_text
from eyespot.recipe import Recipe
from eyespot.recipe_files import with_settings
from eyespot.seeds import seed_for
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
from eyespot.studies.tuned import Candidate, differences, page, sentence, winner
from eyespot.training.interrupt import Interrupt
from eyespot.workflow._campaign import Campaign
from eyespot.workflow._prepare import prepare
from eyespot.workflow._recipe import own_first, recipe_for
from eyespot.workflow._repeats import circumstances
from eyespot.workflow._search import check_optuna, open_search
from eyespot.workflow._trial import without_test

ROOT = Path("studies")
PAGE, TABLE, BEST = "README.md", "tuning.json", "best.yaml"
USUAL_SECONDS = 120.0


@dataclass(frozen=True)
class Tuning:
    """What a search found.

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
        return winner(self.candidates).number is not None

    @property
    def told(self) -> str:
        """What was found, in a sentence."""
        return sentence(self.candidates, self.trials)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "study": str(self.path),
            "recipe": str(self.path / BEST),
            "found_better": self.found_better,
            "candidates": [one.to_dict() for one in self.candidates],
            "trials": self.trials,
            "pruned": self.pruned,
            "seconds": self.seconds,
            "sentence": self.told,
        }


def tune(  # noqa: PLR0913 - all that a search can be told
    source: str | Dataset | None = None,
    *,
    seconds: float | None = None,
    trials: int | None = None,
    space: str | Path | Mapping[str, Any] | None = None,
    seed: int | None = None,
    output: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    console: Console | None = None,
) -> Tuning:
    """Searches a recipe's settings for a lower validation loss; the same call goes on with an interrupted search.

    The recipe's own settings are the first trial. At the end the best few and the recipe itself are trained with three
    fresh seeds, and the lowest median wins. Test data is never used.

    Args:
        source: a dataset, or a recipe's name or file.
        seconds: for all of it; None: 120, or without limit where `trials` is given.
        trials: at most so many, besides training anew.
        space: for each key a list of values, or `low`, `high` and `log`; a file or a mapping; None: a usual one.
        seed: of the trainings, and of what is proposed; None: as the recipe has it.
        output: the search's directory; None: `studies/tune-<name>`.
        settings: keys of the recipe to change first, by their dotted names.
        console: where progress is printed; None: standard output.

    Raises:
        EyespotError: something asked for is missing, unknown or does not fit, Optuna is not installed, or the time was
            not enough for one training of the recipe itself.
        RunError: the directory holds a search for something else, or a file that would be written over and is not by
            eyespot or was changed.
        InterruptedRun: the user stopped it; the same call goes on.
    """
    started = time.perf_counter()
    check_optuna()
    limit = USUAL_SECONDS if seconds is None and trials is None else seconds
    named, recipe = recipe_for(source, None, {**(settings or {}), **({} if seed is None else {"training.seed": seed})})
    out = console or Console()
    whole = load(named, recipe.pictures, out, own_first=own_first(source))
    recipe = with_settings(recipe, {"dataset": whole.origin.path if whole.origin else whole.name})
    dataset = without_test(whole, recipe)
    prepared = prepare(dataset, recipe, {}, {}, Console(quiet=True), trust=False)
    base = base_values(recipe, prepared.dataset)
    searched = _space(space, recipe, base, prepared.dataset)
    folder = Path(output) if output else ROOT / f"tune-{recipe.name or whole.name}"
    check_own(*(folder / name for name in (PAGE, TABLE, BEST)))
    about = {
        "recipe": prepared.recipe.model_dump(mode="json", by_alias=True, exclude={"checkpoints", "published"}),
        "dataset": dataset.fingerprint,
        "space": _told(searched),
    }
    warmup = max(1, recipe.training.epochs // 3)
    with (
        open_search(folder, searched, seed_for(recipe.training.seed, "tune"), warmup, about) as search,
        Interrupt() as asked,
    ):
        own = {key: own_value(recipe, key, base) for key in searched}
        search.begin_with(starting_points(searched, own))
        campaign = Campaign(search, dataset, recipe, own, limit, trials, asked, out, folder, started)
        campaign.search_on()
        candidates = campaign.train_anew()
        finished = search.finished
        cut = sum(bool(trial.user_attrs["why"]) for trial in finished)
        done = Tuning(folder, _best(recipe, candidates), candidates, len(finished), cut, campaign.elapsed)
    _write(done, recipe, searched)
    return done


def _space(
    space: str | Path | Mapping[str, Any] | None, recipe: Recipe, base: Mapping[str, Any], dataset: Dataset
) -> Space:
    if space is None:
        return space_of(default_space(recipe, dataset, base), recipe, base, "the usual search space")
    if isinstance(space, Mapping):
        return space_of(space, recipe, base, "the search space")
    return space_of(read_space(Path(space)), recipe, base, str(space))


def _told(space: Space) -> dict[str, Any]:
    """A space as plain values."""
    return {key: one.model_dump() if isinstance(one, Range) else one for key, one in space.items()}


def _best(recipe: Recipe, candidates: Sequence[Candidate]) -> Recipe:
    """The winner as a recipe of its own, without what was published of another."""
    best = winner(candidates)
    changed = with_settings(recipe, best.settings)
    if best.number is None:
        return changed
    change = f"found by eyespot tune: {differences(best.settings)}"
    own = {"name": None, "description": None, "teaches": None, "published": None}
    return changed.model_copy(update=own | {"variation_of": recipe.name, "change": change})


def _write(done: Tuning, recipe: Recipe, space: Space) -> None:
    """The best recipe, and the pages."""
    keys = "\n".join(f"- {key}: {_range_text(one)}" for key, one in space.items())
    searched = f"{done.trials} trials, {done.pruned} of them cut short, in {done.seconds:.0f} s, of:\n\n{keys}"
    title = f"A search for {recipe.name or recipe.dataset}"
    rewrite_text(done.path / PAGE, page(title, circumstances(), done.told, done.candidates, searched))
    text = json.dumps(done.to_dict() | {"space": _told(space)}, indent=2, ensure_ascii=False, allow_nan=False)
    rewrite_text(done.path / TABLE, text + "\n")
    lines = [f"Written by eyespot tune, {circumstances()}.", done.told, *searched.splitlines()]
    comment = "\n".join(f"# {line}".rstrip() for text in lines for line in textwrap.wrap(text, 108) or [""])
    rewrite_text(done.path / BEST, f"{comment}\n{done.recipe.dump()}")


def _range_text(one: list[Any] | Range) -> str:
    if isinstance(one, Range):
        return f"{one.low:.4g} to {one.high:.4g}" + (", logarithmic" if one.log else "")
    return ", ".join("none" if value is None else str(value) for value in one)
