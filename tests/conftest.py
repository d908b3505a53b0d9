"""What all tests share: shapes and types checked at every call, a tiny dataset, a trained run, the command line."""

import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from eyespot.__main__ import OBJECTS
from tests.typechecker import check_types_of

gc.set_threshold(OBJECTS)  # as in the process of a command, where the imports take a third less time

# Before Triton is imported, even by PyTorch: everything runs on the processor, a GPU's kernels by Triton's interpreter,
# unless the environment has 0 here. Then everything runs on the GPU, and float32 is not rounded to TF32 in products.
if os.environ.setdefault("TRITON_INTERPRET", "1") == "0":
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
else:
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
if find_spec("keras"):  # before the hook: what a hooked module imports would be compiled anew, and that is all of Keras
    import eyespot.backend
if find_spec("triton"):  # before the hook, as below
    import eyespot.engine.kernels.cuda.cross_entropy
    import eyespot.engine.kernels.cuda.epilogue
    import eyespot.engine.kernels.cuda.updates
if find_spec("numba"):  # before the hook, which would wrap what Numba is to compile
    import eyespot.engine.kernels.cpu.augment
    import eyespot.engine.kernels.cpu.channel_moments
    import eyespot.engine.kernels.cpu.cross_entropy
    import eyespot.engine.kernels.cpu.epilogue
    import eyespot.engine.kernels.cpu.updates

check_types_of(Path(__file__).parent.parent / "eyespot")

import numpy as np  # noqa: E402 - the hook comes before anything that might import eyespot
import pytest  # noqa: E402
from PIL import Image  # noqa: E402

from eyespot.cli.main import main  # noqa: E402
from eyespot.data.catalog import CATALOG  # noqa: E402
from eyespot.data.dataset import Dataset, Split  # noqa: E402
from eyespot.recipe.schema import Recipe  # noqa: E402
from eyespot.run import Run  # noqa: E402


def pytest_collection_finish() -> None:
    """What is imported by then is no garbage, and need not be looked through again and again."""
    gc.freeze()


def make_split(per_class: int, seed: int, size: tuple[int, int, int] = (8, 8, 1)) -> Split:
    """Bars that lie, stand or slant, with noise: three classes that a small network tells apart in a few steps."""
    generator = np.random.default_rng(seed)
    height, width, _ = size
    images, labels = [], []
    for label in (0, 1, 2):
        for _ in range(per_class):
            image = generator.integers(0, 60, size).astype(np.uint8)
            place = int(generator.integers(1, height - 1))
            if label == 0:
                image[place, :, :] = 250
            elif label == 1:
                image[:, place % width, :] = 250
            else:
                image[np.arange(min(height, width)), np.arange(min(height, width)), :] = 250
            images.append(image)
            labels.append(label)
    order = generator.permutation(len(labels))
    return Split(np.stack(images)[order], np.array(labels, np.int64)[order])


def write_pictures(folder: Path) -> None:
    """A person's own pictures: bars as PNG files, in a folder a class, below `train` and `test`."""
    for split, per_class in (("train", 20), ("test", 5)):
        made = make_split(per_class, seed=per_class)
        for row, (image, label) in enumerate(zip(made.images, made.labels, strict=True)):
            place = folder / split / ("lying", "standing", "slanting")[label]
            place.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.asarray(image)[..., 0]).save(place / f"private-{row}.png")


@pytest.fixture(scope="session")
def bars() -> Dataset:
    """120 training and 30 test images of 8x8x1 in three classes."""
    return Dataset("bars", ("lying", "standing", "slanting"), make_split(40, seed=1), test=make_split(10, seed=2))


@pytest.fixture(scope="session")
def run(bars: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished run on the bars; tests read it and do not change it."""
    from eyespot.workflow.train import train

    recipe = Recipe.parse({"model": {"name": "mlp"}, "training": {"epochs": 8, "seed": 3, "precision": "float32"}})
    return train(bars, recipe, tmp_path_factory.mktemp("session") / "bars-mlp").run


@pytest.fixture(scope="session")
def fewer() -> Dataset:
    """200 training and 60 test images of the embedded digits."""
    from eyespot.data.load import load

    digits = load("digits")
    assert digits.test is not None
    return replace(digits, train=digits.train.take(np.arange(200)), test=digits.test.take(np.arange(60)))


@contextmanager
def digits_are(images: Dataset) -> Iterator[None]:
    """`digits` is the name of other images."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(CATALOG, "digits", replace(CATALOG["digits"], read=partial(replace, images)))
        yield


@pytest.fixture
def few_digits(fewer: Dataset) -> Iterator[None]:
    """`digits` is the name of fewer images, where a test does not count them; they train in half the time."""
    with digits_are(fewer):
        yield


@dataclass(frozen=True)
class Answer:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str


@pytest.fixture  # type: ignore[no-redef]  # `eyespot` above is imported for what its kernels do then
def eyespot(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Answer]:
    """Runs `eyespot` with arguments, in this process."""

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["eyespot", *(str(argument) for argument in arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        try:
            main()
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        else:
            code = 0
        printed = capsys.readouterr()
        return Answer(code, printed.out, printed.err)

    return call


DRAWN: set[str] = set()  # ends of the names of the figures that are drawn now


@pytest.fixture(scope="session", autouse=True)
def undrawn() -> Iterator[None]:
    """Figures are made and not drawn: each file is one pixel. Runs that several tests share have such figures too.

    Drawing takes half the time of a training on the bars.
    """
    if not find_spec("matplotlib"):
        yield
        return
    from matplotlib.figure import Figure

    draw = Figure.savefig

    def savefig(figure: Figure, target: Any, **options: Any) -> None:
        if isinstance(target, Path) and not target.name.endswith(tuple(DRAWN)):
            Image.new("L", (1, 1)).save(target, format="png")
        else:
            draw(figure, target, **options)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Figure, "savefig", savefig)
        yield


@pytest.fixture(autouse=True)
def drawn(request: pytest.FixtureRequest) -> Iterator[None]:
    """Where a test looks at figures (`draws`), they are drawn: all, or those whose names the mark has."""
    marker = request.node.get_closest_marker("draws")
    if marker:
        DRAWN.update(marker.args or ("",))
    yield
    DRAWN.clear()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with no data folder and no cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("EYESPOT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.fixture
def tell(capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a campaign's counts, also where the test passes."""

    def told(sentence: str) -> None:
        with capsys.disabled():
            print(f"\n{sentence}")  # noqa: T201 - what it is for

    return told


needs_real_data = pytest.mark.skipif(
    not os.environ.get("EYESPOT_DATA"),
    reason="needs the real MNIST and Fashion-MNIST: set EYESPOT_DATA to their folder",
)
