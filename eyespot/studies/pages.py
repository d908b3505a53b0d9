"""Pages in Markdown: one experiment, and the whole study."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from eyespot.recipe.schema import Recipe
from eyespot.studies.published_figures import JudgedFigure

COLUMNS = ("figure", "published", "ours", "range", "judgement")
JUDGEMENTS = """\
*Ours* is the median over the repeats. *Reproduced*: the published figure lies in their range, or within the 95 %
interval (Wilson) that the number of test images gives ours; *better*, *worse*: outside both; *differs*: outside, and
it is known why; *not judged*: never printed, of another machine, or a loss of a single repeat."""
BY = "Written by `eyespot reproduce`, which also leaves a page of each experiment, in the directory of its name."
PICTURES = {
    "samples.png": "training images", "pixels.png": "one image, pixel by pixel",
    "curves.png": "training and validation", "predictions.png": "the first test images",
    "right-test.png": "correct predictions", "wrong-test.png": "mistakes, most confident first",
    "confusion-test.png": "confusion matrix",
}  # fmt: skip


def experiment_page(  # noqa: PLR0913, PLR0917 - all that is on it
    recipe: Recipe,
    figures: Sequence[JudgedFigure],
    summary: str,
    test: Mapping[str, Any],
    class_names: Sequence[str],
    first: str,
) -> str:
    """An experiment: what was done, its figures, the network, the report on the test images, the figures drawn.

    Args:
        summary: the network, as Keras prints it.
        test: figures of the first repeat on test data, as in a run's metrics.json.
        first: its directory, beside the page.
    """
    published = recipe.published
    parts = [f"# {recipe.name}", recipe.description or ""]
    if recipe.variation_of:
        parts.append(f"Made from {recipe.variation_of}: {recipe.change}.")
    if published:
        parts += [f"Published in: {published.source}", *(f"- {note}" for note in published.notes)]
    parts += [markdown_table(COLUMNS, map(figure_row, figures)), f"```\n{summary.strip()}\n```"]
    names = ("precision", "recall", "f1-score")
    classes = test["report"]["classes"]
    rows = [(name, *(f"{classes[name][key]:.4f}" for key in names), classes[name]["support"]) for name in class_names]
    parts.append(markdown_table(("class", *names, "support"), rows))
    confusion = zip(class_names, test["confusion"], strict=True)
    parts.append(markdown_table(("label \\ predict", *class_names), [(name, *counts) for name, counts in confusion]))
    parts += [f"![{title}]({first}/figures/{file})" for file, title in PICTURES.items()]
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown; bars in cells would end them, and tabulate leaves them as they are."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def figure_row(judged: JudgedFigure) -> tuple[str, ...]:
    """A figure's row."""
    is_range = judged.range is not None and judged.range[0] != judged.range[1]
    spread = " to ".join(number_text(end) for end in judged.range or ()) if is_range else ""
    return judged.figure, number_text(judged.published), number_text(judged.ours), spread, judged.judgement


def number_text(value: float | str | None) -> str:
    """A number as people read it: counts whole, fractions and losses with four places."""
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    is_whole = isinstance(value, int) or (float(value).is_integer() and value > 1)
    return f"{value:,.0f}" if is_whole else f"{value:.4f}"


def reproduction_page(
    experiments: Iterable[tuple[Recipe, Sequence[JudgedFigure]]], circumstances: str, *, compares: bool
) -> str:
    """All experiments in one table, what the variations teach, and what was chosen where tutorials leave it open.

    Args:
        circumstances: date, machine, versions.
        compares: there is an image with and without dropout.
    """
    rows, reasons, variation_rows, notes = [], [], [], []
    for recipe, figures in experiments:
        rows += [(recipe.name, *figure_row(judged)) for judged in figures if judged.is_shown]
        reasons += [f"- {reason}" for reason in judgement_reasons(str(recipe.name), figures)]
        if recipe.teaches:
            by_name = {judged.figure: judged for judged in figures}
            accuracies = [by_name[name] for name in ("val_accuracy", "test_accuracy")]
            variation_rows.append(
                (
                    recipe.change,
                    *(f"{number_text(j.ours)} ({number_text(j.published)})" for j in accuracies),
                    recipe.teaches,
                )
            )
        notes += [f"- **{recipe.name}**: {note}" for note in (recipe.published.notes if recipe.published else [])]
    parts = [
        "# The tutorials' experiments, reproduced",
        circumstances,
        BY,
        markdown_table(("experiment", *COLUMNS), rows),
    ]
    parts += [JUDGEMENTS, "\n".join(reasons)]
    if compares:
        parts += ["## With and without dropout", "![with and without dropout](dropout.png)"]
    if variation_rows:
        heads = ("change", "validation accuracy (published)", "test accuracy (published)", "what it teaches")
        parts += ["## Variations of mnist-mlp", markdown_table(heads, variation_rows)]
    if notes:
        parts += ["## What was chosen", "\n".join(notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def judgement_reasons(name: str, figures: Sequence[JudgedFigure]) -> list[str]:
    """Why figures are judged as they are, a sentence a reason."""
    by_reason: dict[str, list[str]] = {}
    for judged in figures:
        if judged.why and judged.is_shown:
            by_reason.setdefault(judged.why, []).append(judged.figure)
    return [f"{name}, {', '.join(names)}: {why}" for why, names in by_reason.items()]
