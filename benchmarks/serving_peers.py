"""For `serving.py`: what is compared, each in a process of its own.

    python benchmarks/serving_peers.py script MODEL.keras picture.png
    python benchmarks/serving_peers.py endpoint MODEL.keras PORT predict
    python benchmarks/serving_peers.py bulk keras MODEL.keras PICTURES.npy
    python benchmarks/serving_peers.py bulk eyespot MODEL.onnx PICTURES.npy

`script` loads a model, classifies one picture and prints the label. `endpoint` is the service that a tutorial would
write: FastAPI, a Keras model, one picture a request, read by Pillow. Its handler is no coroutine, so that FastAPI runs
it in its threads, and a request does not wait for another's arithmetic. `bulk` first prints the labels of all pictures,
then, for each line that is put in, the seconds that classifying them took.
"""

import io
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np

# The fastest for Keras on TensorFlow among 32 (its default), 64, 128, 256 and 1,024, on two cores of an AMD EPYC.
BATCH = 256


def script(model_file: str, picture: str) -> None:
    """Classifies one picture."""
    from PIL import Image

    model = opened(model_file)
    probabilities = model.predict(pixels(Image.open(picture), model.input_shape), verbose=0)
    print(int(probabilities[0].argmax()))


def opened(model_file: str) -> Any:
    """A Keras model, not compiled, which is the faster way: XLA takes twice as long on a processor."""
    import keras

    return keras.saving.load_model(model_file, compile=False)


def pixels(picture: Any, input_shape: tuple[int, ...]) -> np.ndarray:
    """A picture of Pillow's as a batch of one."""
    _, height, width, channels = input_shape
    fitted = picture.convert("L" if channels == 1 else "RGB").resize((width, height))
    return np.asarray(fitted, np.uint8).reshape(1, height, width, channels)


def endpoint(model_file: str, port: str, way: str) -> None:
    """Serves a Keras model by `predict`, as tutorials do, or by `predict_on_batch`, which does without its loop."""
    import uvicorn
    from fastapi import Body, FastAPI
    from PIL import Image

    model = opened(model_file)
    answers = model.predict_on_batch if way == "predict_on_batch" else lambda images: model.predict(images, verbose=0)
    app = FastAPI()

    @app.post("/predict")
    def predict(picture: Annotated[bytes, Body(media_type="image/png")]) -> dict[str, Any]:
        probabilities = np.asarray(answers(pixels(Image.open(io.BytesIO(picture)), model.input_shape)))[0]
        return {"label": int(probabilities.argmax()), "probability": float(probabilities.max())}

    answers(np.zeros((1, *model.input_shape[1:]), np.uint8))  # compiled before the first request
    uvicorn.run(app, host="127.0.0.1", port=int(port), log_level="warning", access_log=False)


def bulk(kind: str, model_file: str, pictures: str) -> None:
    """Classifies all pictures each time it is asked to."""
    images = np.load(pictures)
    probabilities = by_keras(model_file) if kind == "keras" else by_eyespot(model_file)
    labels = probabilities(images).argmax(axis=1)  # a warm-up too
    print(json.dumps({"labels": labels.tolist()}), flush=True)
    for _ in sys.stdin:
        started = time.perf_counter()
        probabilities(images)
        print(json.dumps({"seconds": time.perf_counter() - started}), flush=True)


def by_keras(model_file: str) -> Callable[[np.ndarray], np.ndarray]:
    """`predict` of Keras, on the backend that the environment names."""
    model = opened(model_file)
    return lambda images: model.predict(images, batch_size=BATCH, verbose=0)


def by_eyespot(model_file: str) -> Callable[[np.ndarray], np.ndarray]:
    """An ONNX file as `eyespot predict` runs it."""
    from eyespot.inference.predictor import Predictor

    return Predictor(Path(model_file)).probabilities


PEERS: dict[str, Callable[..., None]] = {"script": script, "endpoint": endpoint, "bulk": bulk}

if __name__ == "__main__":
    PEERS[sys.argv[1]](*sys.argv[2:])
