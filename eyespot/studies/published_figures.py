"""Published figures beside ours: do we get them, within what chance allows?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Literal, get_args

from eyespot.evaluation.statistics import wilson
from eyespot.recipe.schema import Figure, Published

Judgement = Literal["reproduced", "better", "worse", "differs", "not judged"]
COUNTED = ("parameters", "correct_after_rounding")


@dataclass(frozen=True)
class JudgedFigure:
    """One figure of an experiment.

    Attributes:
        figure: its name.
        published: as printed; None where it is not.
        ours: the median over the repeats; None where it was not measured.
        range: the lowest and the highest of the repeats.
        judgement: `reproduced` where the published value lies in our range, or in the 95 % interval that the test set's
            size gives our median; else `better` or `worse`, or `differs` where a reason is known.
        why: the reason, where there is one to give.
    """

    figure: str
    published: float | str | None
    ours: float | str | None
    range: tuple[float, float] | None
    judgement: Judgement
    why: str = ""

    @property
    def is_shown(self) -> bool:
        """Whether a table for people has it: what is printed somewhere, and the test accuracy."""
        return self.published is not None or self.figure == "test_accuracy"

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def judge_figures(published: Published, repeats: Sequence[Mapping[str, Any]], test_pictures: int) -> list[JudgedFigure]:
    """Every figure that is published or was measured.

    Args:
        repeats: of each repeat, figures by name, and `verdict` in words.
    """
    judged = []
    for figure in get_args(Figure):
        ours = [repeat[figure] for repeat in repeats if repeat.get(figure) is not None]
        if ours or figure in published.figures:
            judged.append(_judge(figure, published, ours, test_pictures))
    verdicts = [str(repeat["verdict"]) for repeat in repeats]
    if published.verdict:
        usual = max(sorted(set(verdicts)), key=verdicts.count)
        agreeing = verdicts.count(published.verdict)
        note = "" if agreeing == len(verdicts) else f"{agreeing} of {len(verdicts)} repeats have it"
        judgement: Judgement = "reproduced" if usual == published.verdict else "differs"
        judged.append(JudgedFigure("verdict", published.verdict, usual, None, judgement, note))
    return judged


def _judge(figure: Figure, published: Published, ours: Sequence[float], test_pictures: int) -> JudgedFigure:
    printed = published.figures.get(figure)
    if not ours:
        return JudgedFigure(figure, printed, None, None, "not judged", "not measured")
    middle, spread = median(ours), (min(ours), max(ours))
    if figure in COUNTED:
        middle, spread = round(middle), (round(spread[0]), round(spread[1]))
    reason = _not_judged(figure, printed, len(ours))
    if reason or printed is None:
        return JudgedFigure(figure, printed, middle, spread, "not judged", reason)
    judgement, why = _compared(figure, printed, middle, spread, test_pictures), ""
    if judgement in {"better", "worse"} and figure in published.remarks:
        judgement, why = "differs", published.remarks[figure]
    return JudgedFigure(figure, printed, middle, spread, judgement, why)


def _not_judged(figure: str, printed: float | None, repeats: int) -> str:
    """Why a figure is not judged; empty where it is."""
    if printed is None:
        return "not printed"
    if figure == "seconds_per_epoch":
        return "measured on another machine"
    if figure.endswith("loss") and repeats == 1:
        return "a loss of one repeat has no spread to judge by"
    return ""


def _compared(figure: str, printed: float, middle: float, spread: tuple[float, float], test_pictures: int) -> Judgement:
    if spread[0] <= printed <= spread[1]:
        return "reproduced"
    if figure == "parameters":
        return "differs"
    if figure.endswith("loss"):
        return "better" if middle < printed else "worse"
    scale = test_pictures if figure == "correct_after_rounding" else 1
    low, high = wilson(round(middle / scale * test_pictures), test_pictures)
    if low <= printed / scale <= high:
        return "reproduced"
    return "better" if middle > printed else "worse"
