"""HTML that a notebook shows: the parts that results are shown with.

What a part is given is text, and is escaped: names of classes and files are strangers' words. Colours follow the
notebook, light or dark, since all are mixed from the colour of its text. Where a notebook leaves the style out, as
pages that show strangers' notebooks do, plain tables and paragraphs remain. Nothing is fetched, and no script runs.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

MOST_ROWS = 20  # of a table
LONGEST = 80  # letters of a name
CARD = Markup(
    "<style>{style}</style>\n<div class='eyespot'>\n<p><b><bdi>{title}</bdi></b> {subtitle}</p>\n{parts}\n</div>"
)


def card(title: object, subtitle: object, parts: Iterable[Markup | None]) -> str:
    """A result as HTML.

    Args:
        title: its name.
        subtitle: what it is, in the same line.
        parts: made by the functions below; None is left out.
    """
    shown = Markup("\n").join(part for part in parts if part)
    return str(CARD.format(style=_style(), title=clipped(title), subtitle=clipped(subtitle, 2 * LONGEST), parts=shown))


@cache
def _style() -> Markup:
    return Markup((files("eyespot") / "notebook.css").read_text(encoding="utf-8"))  # noqa: S704 - of this package


def paragraph(text: object, small: bool = False) -> Markup | None:
    """A paragraph of text; None without any."""
    form = Markup("<p><small>{}</small></p>") if small else Markup("<p>{}</p>")
    return form.format(text) if text else None


def notes(texts: Iterable[object]) -> Markup | None:
    """Sentences in small letters, a paragraph each."""
    return Markup("\n").join(filter(None, (paragraph(text, small=True) for text in texts))) or None


def link(path: Path) -> Markup:
    """A link to a file, which a notebook opens beside itself where the file lies below the notebook's folder."""
    return Markup("<p><a href='{}' target='_blank'>{}</a></p>").format(quote(str(path)), clipped(path))


def figures(values: Iterable[tuple[str, str]]) -> Markup | None:
    """The figures that matter most: each in large letters, and below it what it is."""
    each = Markup("<p><b>{}</b> <small>{}</small></p>")
    shown = Markup("\n").join(each.format(value, label) for value, label in values)
    return Markup("<div class='figures'>\n{}\n</div>").format(shown) if shown else None


def table(
    columns: Sequence[object], rows: Iterable[Sequence[Any]], text_columns: int = 1, of: int | None = None
) -> Markup | None:
    """A table with its first 20 rows, and a line on how many more there are; None without rows.

    Args:
        rows: cells are text, or HTML of this module, as images in them.
        text_columns: how many columns hold text; the others hold numbers, to the right.
        of: how many rows there are, where not all are given; None: all are.
    """
    every_row = list(rows)
    total = len(every_row) if of is None else of
    if not every_row:
        return None
    head = Markup("").join(_cell("th", name, index >= text_columns) for index, name in enumerate(columns))
    body = Markup("\n").join(
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                _cell("th" if index == 0 else "td", value, index >= text_columns) for index, value in enumerate(row)
            )
        )
        for row in every_row[:MOST_ROWS]
    )
    form = Markup("<div class='wide'><table>\n<thead><tr>{}</tr></thead>\n<tbody>\n{}\n</tbody>\n</table></div>")
    more = paragraph(f"… and {total - MOST_ROWS:,} more.", small=True) if total > MOST_ROWS else ""
    return form.format(head, body) + Markup("{}").format(more)


def _cell(tag: str, value: Any, is_number: bool) -> Markup:
    form = Markup("<{tag} class='number'>{text}</{tag}>") if is_number else Markup("<{tag}>{text}</{tag}>")
    return form.format(tag=tag, text=value if isinstance(value, Markup) else clipped(value))


def thumbnail(uri: str, what: object) -> Markup:
    """An image in a table's cell."""
    return Markup("<img src='{}' alt='{}'>").format(uri, clipped(what))


def listed(items: Iterable[tuple[object, str]]) -> Markup:
    """Names with their figures in a table's cell; a name that is written from the right turns no figure round."""
    each = Markup("<bdi>{}</bdi>&nbsp;{}")
    return Markup(", ").join(each.format(clipped(name), figure) for name, figure in items)


def drawings(svgs: Iterable[Markup]) -> Markup | None:
    """Figures drawn as SVG, side by side."""
    shown = Markup("\n").join(Markup("<figure>{}</figure>").format(svg) for svg in svgs)
    return Markup("<div class='drawings'>\n{}\n</div>").format(shown) if shown else None


def wide_picture(uri: str | None, what: object) -> Markup | None:
    """A figure that was drawn as an image; None where there is none."""
    return Markup("<figure><img src='{}' alt='{}'></figure>").format(uri, clipped(what)) if uri else None


def folded(summary: str, part: Markup | None) -> Markup | None:
    """A part that a click unfolds."""
    return Markup("<details><summary>{}</summary>\n{}\n</details>").format(summary, part) if part else None


def clipped(text: object, length: int = LONGEST) -> str:
    """A text without what is beyond a length."""
    string = str(text)
    return string if len(string) <= length else string[: length - 1] + "…"


def percent(fraction: float) -> str:
    """A fraction in per cent, as in `98.33 %`."""
    return f"{100 * fraction:.2f} %"


def interval(pair: Sequence[float]) -> str:
    """An interval of fractions in per cent, with one digit."""
    return f"{100 * pair[0]:.1f} – {100 * pair[1]:.1f} %"  # noqa: RUF001 - the sign for it
