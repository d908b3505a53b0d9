"""Pages: one HTML file each, with its images inside, which opens from disk and asks nothing of any network."""

import base64
import hashlib
import re
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
    """A function that gives a text in the page's language, with values put where it names them.

    A text is looked up by its English. One that a run holds is filled in already: its sentences are recognised by
    their templates. What has no translation stays as it is. gettext would look up the same, from catalogs that have
    to be compiled for the wheel; texts that are filled in it cannot find.
    """
    words = _translations("words", language)

    def translated(text: str, **values: Any) -> str:
        if values:
            return words.get(text, text).format(**values)
        return words.get(text) or _translated_sentences(text, language)

    return translated


def _translated_sentences(text: str, language: Language) -> str:
    """Translate a text that is filled in, as a whole or sentence by sentence, with the parts that are put into it."""
    for template, translation in _templates(language):
        if found := template.fullmatch(text):
            parts = {name: _translated_sentences(part, language) for name, part in found.groupdict().items()}
            return translation.format(**parts)
    sentences = text.split(". ")
    sentences[:-1] = [f"{sentence}." for sentence in sentences[:-1]]
    if len(sentences) == 1:
        return text
    translated = [_translated_sentences(sentence, language) for sentence in sentences]
    return text if translated == sentences else "".join(translated)


@cache
def _templates(language: Language) -> list[tuple[re.Pattern[str], str]]:
    """What recognises each filled-in text, with its translation; those that say most come first."""
    translations = _translations("sentences", language)
    by_length = sorted(translations, key=lambda english: -len(re.sub(r"\{\w+\}", "", english)))
    return [(re.compile(_pattern(english)), translations[english]) for english in by_length]


def _pattern(template: str) -> str:
    return re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(template))


@cache
def _translations(kind: str, language: Language) -> dict[str, str]:
    """Texts of one kind by their English: `words` that pages fill in, `sentences` that come filled in."""
    texts: dict[str, str] = {} if language == "en" else yaml.safe_load(_text(f"{kind}.{language}.yaml"))
    return texts


def figure_uri(path: Path, side: int = FIGURE) -> str | None:
    """A figure's file in a `data:` address, no larger than `side` pixels; None where it is missing or no image."""
    try:
        figure = open_picture(path, grey=False)
    except PictureError:
        return None
    figure.thumbnail((side, side))
    return webp_uri(figure, quality=QUALITY)
