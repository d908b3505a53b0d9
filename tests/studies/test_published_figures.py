from typing import Any

import pytest

from eyespot.recipe.schema import Published
from eyespot.studies.pages import figure_row, judgement_reasons
from eyespot.studies.published_figures import judge_figures

CASES: list[tuple[str, float | None, list[float], str]] = [
    ("test_accuracy", 0.92, [0.919], "reproduced"),  # 10,000 pictures: half a point is chance
    ("test_accuracy", 0.92, [0.93], "better"),
    ("test_accuracy", 0.92, [0.91], "worse"),
    ("test_accuracy", 0.92, [0.90, 0.91, 0.93], "reproduced"),  # inside the repeats' range
    ("test_accuracy", None, [0.91], "not judged"),
    ("val_loss", 0.3, [0.2], "not judged"),
    ("val_loss", 0.3, [0.2, 0.4], "reproduced"),
    ("val_loss", 0.3, [0.2, 0.25], "better"),
    ("val_loss", 0.3, [0.5, 0.4], "worse"),
    ("parameters", 10.0, [10, 10], "reproduced"),
    ("parameters", 10.0, [11], "differs"),
    ("seconds_per_epoch", 60.0, [10.0], "not judged"),
    ("correct_after_rounding", 9188.0, [9200], "reproduced"),
    ("correct_after_rounding", 9188.0, [9300], "better"),
    ("test_loss", 0.2, [], "not judged"),
]


@pytest.mark.parametrize(("figure", "printed", "ours", "expected"), CASES)
def test_a_figure_is_judged_by_chance(figure: str, printed: float | None, ours: list[float], expected: str):
    """Inside the repeats' range or the test set's interval is reproduced; what cannot be judged is not."""
    published = Published(source="a book", figures={} if printed is None else {figure: printed})  # type: ignore[dict-item]
    repeats: list[dict[str, Any]] = [{figure: one, "verdict": "good fit"} for one in ours]
    (judged,) = judge_figures(published, repeats or [{"verdict": "good fit"}], 10_000)
    assert judged.judgement == expected
    if expected == "not judged":
        assert judged.why


def test_a_known_reason_makes_worse_differ():
    """A remark of the recipe says why, in the words of the recipe; a figure that is reproduced needs none."""
    figures: Any = {"train_accuracy": 0.99, "val_accuracy": 0.9}
    published = Published(source="a book", figures=figures, remarks={"train_accuracy": "another run"})
    judged = judge_figures(published, [{"train_accuracy": 0.9, "val_accuracy": 0.9, "verdict": "good fit"}], 10_000)
    assert [(one.judgement, one.why) for one in judged] == [("differs", "another run"), ("reproduced", "")]
    assert judgement_reasons("x", judged) == ["x, train_accuracy: another run"]


@pytest.mark.parametrize(
    ("verdicts", "expected", "told"),
    [
        (["overfitting"] * 3, "reproduced", ""),
        (["overfitting", "good fit", "overfitting"], "reproduced", "2 of 3 repeats have it"),
        (["good fit"], "differs", "0 of 1 repeats have it"),
    ],
)
def test_the_usual_verdict_counts(verdicts: list[str], expected: str, told: str):
    """The verdict most repeats have is set beside the published one."""
    published = Published(source="a book", verdict="overfitting")
    (judged,) = judge_figures(published, [{"verdict": verdict} for verdict in verdicts], 10_000)
    assert (judged.judgement, judged.why) == (expected, told)


def test_a_row_shows_the_median_and_the_range():
    """Counts whole, fractions with four places; one repeat has no range."""
    published = Published(source="a book", figures={"test_accuracy": 0.92, "parameters": 356234})
    repeats = [{"test_accuracy": value, "parameters": 356_234, "verdict": ""} for value in (0.91, 0.93, 0.915)]
    rows = [figure_row(judged) for judged in judge_figures(published, repeats, 10_000)]
    assert rows == [
        ("parameters", "356,234", "356,234", "", "reproduced"),
        ("test_accuracy", "0.9200", "0.9150", "0.9100 to 0.9300", "reproduced"),
    ]
