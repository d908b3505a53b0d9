"""Pages: one HTML file each, with its images inside, which opens from disk and asks nothing of any network."""

import base64
import hashlib
import io
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any, Literal, cast, get_args

import numpy as np
import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from eyespot.data.pixels import as_pillow
from eyespot.errors import EyespotError
from eyespot.shapes import UInt8

Language = Literal["en", "zh"]
LANGUAGES: tuple[str, ...] = get_args(Language)
TEMPLATES = "templates"
LARGEST = 96  # pixels a side
SHARP = 48  # up to this many, pixels are kept as they are
QUALITY = 80
GAP = 14  # of a picture's width lies between two


def check_language(language: str) -> Language:
    """The language, if there are pages in it.

    Raises:
        EyespotError: there are none.
    """
    if language not in LANGUAGES:
        raise EyespotError(f"There are no pages in {language!r}: choose one of {', '.join(LANGUAGES)}.")
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


def data_uri(*images: UInt8[np.ndarray, "height width channels"]) -> str:
    """Pictures side by side as one WebP in a `data:` address; small ones without loss, large ones reduced."""
    thumbnails = [_small(image) for image in images]
    if len(thumbnails) == 1:
        row = thumbnails[0]
    else:
        width, height = thumbnails[0].size
        step = width + max(1, width // GAP)
        row = Image.new("RGBA", (step * len(thumbnails), height))  # see-through between them
        for number, picture in enumerate(thumbnails):
            row.paste(picture, (step * number, 0))
    buffer = io.BytesIO()
    row.save(buffer, "WEBP", lossless=row.height <= SHARP, quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _small(image: UInt8[np.ndarray, "height width channels"]) -> Image.Image:
    picture = as_pillow(image)
    picture.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    return picture
