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
        measured = [repeat[figure] for repeat in repeats if repeat.get(figure) is not None]
        if measured or figure in published.figures:
            judged.append(_judge(figure, published, measured, test_pictures))
    verdicts = [str(repeat["verdict"]) for repeat in repeats]
    if published.verdict:
        most_common = max(sorted(set(verdicts)), key=verdicts.count)
        agreeing = verdicts.count(published.verdict)
        note = "" if agreeing == len(verdicts) else f"{agreeing} of {len(verdicts)} repeats have it"
        judgement: Judgement = "reproduced" if most_common == published.verdict else "differs"
        judged.append(JudgedFigure("verdict", published.verdict, most_common, None, judgement, note))
    return judged


def _judge(figure: Figure, published: Published, measured: Sequence[float], test_pictures: int) -> JudgedFigure:
    published_value = published.figures.get(figure)
    if not measured:
        return JudgedFigure(figure, published_value, None, None, "not judged", "not measured")
    middle_value, spread = median(measured), (min(measured), max(measured))
    if figure in COUNTED:
        middle_value, spread = round(middle_value), (round(spread[0]), round(spread[1]))
    reason = _not_judged(figure, published_value, len(measured))
    if reason or published_value is None:
        return JudgedFigure(figure, published_value, middle_value, spread, "not judged", reason)
    judgement, why = _compared(figure, published_value, middle_value, spread, test_pictures), ""
    if judgement in {"better", "worse"} and figure in published.remarks:
        judgement, why = "differs", published.remarks[figure]
    return JudgedFigure(figure, published_value, middle_value, spread, judgement, why)


def _not_judged(figure: str, published_value: float | None, repeats: int) -> str:
    """Why a figure is not judged; empty where it is."""
    if published_value is None:
        return "not printed"
    if figure == "seconds_per_epoch":
        return "measured on another machine"
    if figure.endswith("loss") and repeats == 1:
        return "a loss of one repeat has no spread to judge by"
    return ""


def _compared(
    figure: str, published_value: float, middle_value: float, spread: tuple[float, float], test_pictures: int
) -> Judgement:
    if spread[0] <= published_value <= spread[1]:
        return "reproduced"
    if figure == "parameters":
        return "differs"
    if figure.endswith("loss"):
        return "better" if middle_value < published_value else "worse"
    scale = test_pictures if figure == "correct_after_rounding" else 1
    low, high = wilson(round(middle_value / scale * test_pictures), test_pictures)
    if low <= published_value / scale <= high:
        return "reproduced"
    return "better" if middle_value > published_value else "worse"
