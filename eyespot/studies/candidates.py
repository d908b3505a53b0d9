"""What a search found: candidates trained anew with fresh seeds, and which of them is best."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from eyespot.recipe.changes import describe_settings
from eyespot.studies.pages import markdown_table

READ = """\
Each candidate, and the recipe itself, was trained anew with fresh seeds; with them the validation images are drawn
anew too, where the recipe draws them. The lowest of many trials is too good to be true; these figures are not chosen
from many. The winner is the lowest of the few medians shown, so a little of that optimism remains. No test data was
used: `eyespot train best.yaml` tests the result, once."""
COLUMNS = ("candidate", "in the search", "fresh seeds", "median", "differs in")


@dataclass(frozen=True)
class Candidate:
    """Settings that were tried, and trained anew.

    Attributes:
        number: of its trial; None for the recipe itself.
        searched: its validation loss in the search.
        losses: with fresh seeds, by seed; a diverged training's is infinite.
    """

    number: int | None
    settings: Mapping[str, Any]
    searched: float | None
    losses: Mapping[int, float]

    @property
    def name(self) -> str:
        """The candidate's name in tables and messages."""
        return "the recipe itself" if self.number is None else f"trial {self.number}"

    @property
    def median(self) -> float:
        """Median of the validation losses with fresh seeds."""
        return median(self.losses.values())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        losses = {str(seed): _finite(loss) for seed, loss in self.losses.items()}
        values = {"trial": self.number, "settings": dict(self.settings), "search_val_loss": self.searched}
        return values | {"val_losses": losses, "median_val_loss": _finite(self.median)}


def result_sentence(candidates: Sequence[Candidate], trials: int) -> str:
    """The result of a search in a sentence, with its numbers."""
    original, best = candidates[0], best_candidate(candidates)
    seeds = ", ".join(str(seed) for seed in original.losses)
    if best is original:
        medians = ", ".join(f"{candidate.median:.4f}" for candidate in candidates[1:])
        comparison = f"the best of the search {medians}" if medians else "and no other training was completed"
        return (
            f"Nothing better was found in {trials} trials: the recipe itself has a median validation loss of "
            f"{original.median:.4f} over the seeds {seeds}, {comparison}. best.yaml is the recipe as it was."
        )
    lower = sum(best.losses[seed] < original.losses[seed] for seed in original.losses)
    return (
        f"The best of {trials} trials has a median validation loss of {best.median:.4f} over the seeds {seeds}, the "
        f"recipe itself {original.median:.4f}; it is lower with {lower} of the {len(original.losses)} seeds."
    )


def _finite(loss: float) -> float | None:
    return loss if loss < float("inf") else None


def best_candidate(candidates: Sequence[Candidate]) -> Candidate:
    """The lowest median; the recipe itself, which comes first, where none is lower."""
    return min(candidates, key=lambda one: one.median)


def search_page(title: str, circumstances: str, result: str, candidates: Sequence[Candidate], searched: str) -> str:
    """A search: what it found, the candidates, and what was searched.

    Args:
        searched: how many trials of which keys, in words.
    """
    rows = markdown_table(COLUMNS, map(table_row, candidates))
    return "\n\n".join([f"# {title}", circumstances, result, rows, READ, "## What was searched", searched]) + "\n"


def table_row(candidate: Candidate) -> tuple[str, ...]:
    """A candidate's row."""
    search_loss = "-" if candidate.searched is None else f"{candidate.searched:.4f}"
    losses = ", ".join(f"{loss:.4f}" for loss in candidate.losses.values())
    return candidate.name, search_loss, losses, f"{candidate.median:.4f}", describe_settings(candidate.settings)
