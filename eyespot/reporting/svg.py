"""Figures as SVG that a page can hold: in its colours, light or dark, and in its language."""

import html
import io
import re
import warnings
from collections.abc import Callable

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from eyespot.reporting.style import FAINT, INK, TEST, TRAIN, VALIDATION

# What a page's style sheet has names for; black is what Matplotlib takes where nothing else is said.
VARIABLES = {"#000000": "ink", INK: "ink", FAINT: "faint", TRAIN: "train", VALIDATION: "validation", TEST: "test"}


def svg(figure: Figure, name: str, told: str, translated: Callable[[str], str] = str) -> Markup:
    """One `<svg>` element, whose texts stay texts.

    Args:
        name: unlike that of any other on the page.
        told: what the figure shows, for those who cannot see it.
        translated: what each text becomes.
    """
    drawn = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "eyespot"}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # texts are drawn by whoever shows the page
        figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var(--{variable})")
    text = re.sub(r'(\bid="|url\(#|href="#)', rf"\g<1>{name}-", text)
    text = re.sub(r">([^<>]+)</text>", lambda found: f">{_translated(found[1], translated)}</text>", text)
    view = re.search(r'viewBox="[^"]+"', text)
    label = html.escape(told)
    opening = f'<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-label="{label}" {view[0] if view else ""}>'
    return Markup(re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1))  # noqa: S704 - Matplotlib has escaped its texts


def _translated(text: str, translated: Callable[[str], str]) -> str:
    """A text, or both sides of a colon."""
    return html.escape(": ".join(translated(part) for part in html.unescape(text).split(": ")))
