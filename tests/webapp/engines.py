"""The two engines of the page, asked the same things."""

import base64
import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from eyespot.exporting.web import SHELF, UNPACKED
from tests.webapp.drawings import Stroke

needs_runtime = pytest.mark.skipif(
    not any(all((folder / inner / file.name).is_file() for file in SHELF.files) for folder in SHELF.folders
            for inner in ("", UNPACKED)),
    reason="needs ONNX Runtime Web on this machine, as `eyespot export RUN --format web` fetches it",
)  # fmt: skip
ANSWERS = """async ([address, drawings, files]) => {
  const engine = await import(`${address}/page/engine.js`);
  const { rendered } = await import(`${address}/page/strokes.js`);
  const [model] = await engine.models();
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const pictures = [
    ...drawings.map((strokes) => ({ pixels: rendered(strokes, model) })),
    ...files.map((text) => ({ file: new File([bytes(text)], "picture.png", { type: "image/png" }) })),
  ];
  const rows = [];
  for (const picture of pictures) {
    const { top } = await engine.predict(model, picture, model.classes.length);
    const known = new Map(top.map(({ label, probability }) => [label, probability]));
    rows.push(model.classes.map((name) => known.get(name)));
  }
  return rows;
}"""
MAP = """async ([address, strokes, label]) => {
  const engine = await import(`${address}/page/engine.js`);
  const { rendered } = await import(`${address}/page/strokes.js`);
  const [model] = await engine.models();
  return (await engine.occlusion(model, rendered(strokes, model), label)).map;
}"""


def answers_of(page: Any, address: str, drawings: list[list[Stroke]], images: list[np.ndarray]) -> np.ndarray:
    """Probabilities by the engine of the page that is open, of drawings and of pictures given as PNG files."""
    return np.array(page.evaluate(ANSWERS, [address, drawings, [_png(image) for image in images]]))


def map_of(page: Any, address: str, strokes: list[Stroke], label: str) -> np.ndarray:
    """Where a drawing speaks for a class, in logits, by the engine of the page that is open."""
    return np.array(page.evaluate(MAP, [address, strokes, label]))


def _png(image: np.ndarray) -> str:
    stored = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[2] == 1 else image).save(stored, "PNG")
    return base64.b64encode(stored.getvalue()).decode()
