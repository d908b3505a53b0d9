"""Pages: one HTML file each, with its images inside, which opens from disk and asks nothing of any network."""

import base64
import hashlib
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, cast, get_args

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from eyespot.data.picture import open_picture
from eyespot.data.pixels import webp_uri
from eyespot.errors import PictureError, UsageError

Language = Literal["en", "zh"]
LANGUAGES: tuple[str, ...] = get_args(Language)
TEMPLATES = "templates"
FIGURE, QUALITY = 900, 60  # pixels a side of a figure in a notebook, and the quality of its WebP


def check_language(language: str) -> Language:
    """The language, if there are pages in it.

    Raises:
        UsageError: there are none.
    """
    if language not in LANGUAGES:
        raise UsageError(f"There are no pages in {language!r}: choose one of {', '.join(LANGUAGES)}.")
    return cast("Language", language)


def render(template: str, language: Language, **values: Any) -> str:
    """A page, complete with its style and its script.

    Whatever is put into it is escaped. Its content security policy lets nothing be fetched, and no script run but its
    own.
    """
    environment = Environment(
        loader=PackageLoader("eyespot.reports", TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script, style = _text("page.js"), _text("page.css")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = environment.get_template(template)
    assets = {"script": Markup(script), "style": Markup(style)}  # noqa: S704 - files of this package
    return page.render(_=translator(language), language=language, script_digest=digest, **assets, **values)


def _text(name: str) -> str:
    return (files("eyespot.reports") / TEMPLATES / name).read_text(encoding="utf-8")


def translator(language: Language) -> Callable[..., str]:
    """A function that gives a sentence in the page's language, with values put where it names them.

    Sentences are looked up by their English text; one that has no translation stays as it is. gettext would do the
    same, from catalogs that have to be compiled for the wheel.
    """
    translations = _words(language)

    def translated(text: str, **values: Any) -> str:
        return translations.get(text, text).format(**values) if values else translations.get(text, text)

    return translated


@cache
def _words(language: Language) -> dict[str, str]:
    words: dict[str, str] = {} if language == "en" else yaml.safe_load(_text(f"words.{language}.yaml"))
    return words


def figure_uri(path: Path, side: int = FIGURE) -> str | None:
    """A figure's file in a `data:` address, no larger than `side` pixels; None where it is missing or no image."""
    try:
        figure = open_picture(path, grey=False)
    except PictureError:
        return None
    figure.thumbnail((side, side))
    return webp_uri(figure, quality=QUALITY)
