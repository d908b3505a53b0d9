"""What may be done to a picture, in plain numbers, and in words."""

from dataclasses import dataclass, fields
from typing import Any, Literal


@dataclass(frozen=True)
class Changes:
    """How much of each change there may be, as in `AugmentationRecipe`; nothing, by default."""

    shift: float = 0.0
    rotate: float = 0.0
    zoom: float = 0.0
    flip_horizontal: bool = False
    flip_vertical: bool = False
    brightness: float = 0.0
    contrast: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    fill: Literal["background", "edge"] = "background"

    @property
    def moves(self) -> bool:
        """Pixels change their places."""
        return bool(self.shift or self.rotate or self.zoom or self.flip_horizontal or self.flip_vertical)

    @property
    def shades(self) -> bool:
        """Pixels change their values where they are."""
        return bool(self.brightness or self.contrast)

    @property
    def mixes(self) -> bool:
        """A picture may be of two classes."""
        return bool(self.mixup or self.cutmix)

    @property
    def any(self) -> bool:
        """Something is done at all."""
        return self.moves or self.shades or self.mixes or bool(self.erase)

    def describe(self) -> str:
        """What is done, in words: "shift up to 8 %, rotate up to 10°, flip left-right"."""
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        told = [words.format(values[name]) for name, words in WORDS.items() if values[name]]
        return ", ".join(told) or "nothing is changed"


WORDS = {
    "shift": "shift up to {:.0%}",
    "rotate": "rotate up to {:g}°",
    "zoom": "zoom up to {:.0%}",
    "flip_horizontal": "flip left-right",
    "flip_vertical": "flip upside down",
    "brightness": "brightness ±{:.0%}",
    "contrast": "contrast ±{:.0%}",
    "erase": "a rectangle erased in {:.0%} of them",
    "mixup": "mixup, alpha {:g}",
    "cutmix": "cutmix, alpha {:g}",
}
