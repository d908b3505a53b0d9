"""Backbones of `keras.applications`, with the weights that Keras publishes, by its own verified download.

Those that suit small machines: at most a quarter of ResNet-50's work for an image. ConvNeXtTiny does twelve times the
work of EfficientNet-Lite0.
"""

import os
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from eyespot.backend import keras
from eyespot.errors import ModelError, first_line
from eyespot.keras_internals import call_layers
from eyespot.models.layers import Shape
from eyespot.output import console_for_downloads

SERVER = "https://storage.googleapis.com/tensorflow/keras-applications"
FOLDER = "models"  # in Keras's own, where its downloads are


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`.

    Attributes:
        name: by which it is asked for.
        make: Keras's function; it rescales pixels inside.
        folder, file: of the weights without a head, on the server.
        md5: of that file, as Keras has it.
    """

    name: str
    make: Callable[..., Any]
    folder: str
    file: str
    md5: str

    licence = "Apache-2.0"
    source = "keras.applications"

    @property
    def url(self) -> str:
        """The address of the weights."""
        return f"{SERVER}/{self.folder}/{self.file}"

    def place(self) -> Path:
        """The path at which Keras keeps the file, whether it is there or not."""
        return keras_home() / FOLDER / self.file

    def weights_path(self) -> Path | None:
        """The file of weights; None where it is not on this machine."""
        return path if (path := self.place()).is_file() else None

    def fetch_weights(self) -> Path:
        """The file of weights, downloaded where it is not there, its MD5 known to be the published one.

        Raises:
            ModelError: it cannot be downloaded; the sentence says where to put it.
        """
        path = self.place()
        if not path.is_file():
            console_for_downloads().print(f"Downloading {self.url}", soft_wrap=True, highlight=False)
        try:
            with redirect_stdout(StringIO()):  # Keras prints there, where JSON may have to stand alone
                found = keras.utils.get_file(
                    self.file, self.url, cache_dir=keras_home(), cache_subdir=FOLDER, file_hash=self.md5
                )
        except Exception as error:  # noqa: BLE001 - Keras raises a plain Exception where the network fails
            raise ModelError(
                f"The weights of {self.name} could not be downloaded: {first_line(error)}. "
                f"Check the network, or put {self.url} at {path} yourself."
            ) from None
        return Path(found)

    def body(self, input_shape: Shape) -> keras.Model:
        """The network with random weights, from colour pixels 0-255 to its features.

        Args:
            input_shape: (height, width, 3).
        """
        network = self.make(include_top=False, weights=None, input_shape=input_shape, pooling="avg")
        pixels = keras.Input(input_shape, dtype="uint8", name="pixels")
        return keras.Model(pixels, call_layers(network, pixels), name=self.name)

    def load_weights(self, model: keras.Model) -> None:
        """Give what `body` has made its published weights.

        Raises:
            ModelError: as of `fetch_weights`; or the file holds another network.
        """
        path = self.fetch_weights()
        try:
            model.load_weights(path)
        except (ValueError, KeyError, OSError) as error:
            raise ModelError(f"{path} does not hold the weights of {self.name}: {first_line(error)}.") from None


APPLICATIONS = {
    application.name: application
    for application in (
        Application(
            "mobilenet-v3-small", keras.applications.MobileNetV3Small, "mobilenet_v3",
            "weights_mobilenet_v3_small_224_1.0_float_no_top_v2.h5", "d3e8ec802a04aa4fc771ee12a9a9b836",
        ),
        Application(
            "mobilenet-v3-large", keras.applications.MobileNetV3Large, "mobilenet_v3",
            "weights_mobilenet_v3_large_224_1.0_float_no_top_v2.h5", "07fb09a5933dd0c8eaafa16978110389",
        ),
        Application(
            "efficientnet-v2-b0", keras.applications.EfficientNetV2B0, "efficientnet_v2",
            "efficientnetv2-b0_notop.h5", "893217f2bb855e2983157299931e43ff",
        ),
    )
}  # fmt: skip


def keras_home() -> Path:
    """The folder in which Keras keeps what it downloads: `KERAS_HOME`, else `~/.keras`."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
