"""How well `predict --reject` tells pictures that are none of the classes, beside other ways to tell.

Short trainings on MNIST and Fashion-MNIST (a random 20,000 of the training images, a tenth of them for validation),
three networks and three seeds; and on the embedded digits. Everything is fitted on training images and every
threshold chosen on validation images; what is measured is the test set, that set changed mildly, and pictures that
are none of the classes: the other set, noise, blank pictures, inverted ones. Mild changes should not be rejected,
except where the model errs on them: its accuracy there is in the results too.

    EYESPOT_DATA=… python benchmarks/rejection.py [--seeds 3] [--pictures 20000] [--runs FOLDER]
    python benchmarks/rejection.py --smoke    # whether it runs: one network on 300 digits, one epoch

The ways: `softmax`, 1 - the largest probability (Hendrycks and Gimpel 2017); `energy` of the logits (Liu et al. 2020);
`mahalanobis` in the penultimate features (Lee et al. 2018); `knn`, the distance from the fifth nearest of 5,000
features of length 1 (Sun et al. 2022); `features` and `pixels`, eyespot's measures each alone; `eyespot`, all together.
A cell is the AUROC and, behind it, the share that is rejected where 1 % of the validation images would be; over the
seeds, the worst AUROC and the mean share. Rows of mild changes have the share alone. Writes benchmarks/results.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from harness import load_dataset, parse_arguments, run_benchmark
from PIL import Image
from scipy import ndimage
from scipy.special import logsumexp
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors

import eyespot
from eyespot.data.dataset import Dataset
from eyespot.data.split import split
from eyespot.environment import describe_environment
from eyespot.inference.ood import DEFAULT_RATE, directed, flat, shrunk
from eyespot.random import seed_for
from eyespot.recipe.schema import Recipe
from eyespot.run import Run
from eyespot.workflow.train import train

TRAININGS = [(data, model) for data in ("mnist", "fashion-mnist") for model in ("cnn", "mnist-mlp", "mnist-cnn-small")]
EPOCHS = {"cnn": 3, "mnist-mlp": 5, "mnist-cnn-small": 5}
DIGITS_EPOCHS = 20
MEASURED, CHANGED = 5_000, 1_000  # test images, and those of them that are changed
NEIGHBOURS, BANK = 5, 5_000
Images = np.ndarray
Score = Callable[[Images], np.ndarray]


def outliers(images: Images, generator: np.random.Generator) -> dict[str, Images]:
    """Pictures of no class, of the same size."""
    size = (CHANGED, *images.shape[1:])
    grey = np.linspace(0, 255, 64).astype(np.uint8)
    return {
        "uniform": generator.integers(0, 256, size).astype(np.uint8),
        "gaussian": np.clip(generator.normal(128, 50, size), 0, 255).astype(np.uint8),
        "blank": np.broadcast_to(grey[:, None, None, None], (64, *images.shape[1:])).copy(),
        "inverted": 255 - images[:CHANGED],
    }


def mild_changes(images: Images, generator: np.random.Generator) -> dict[str, Images]:
    """Pictures as another hand, pen or camera might have made them."""
    side = images.shape[1]
    zoom, middle = np.eye(2) / 0.9, (side - 1) / 2 * (1 - 1 / 0.9) * np.ones(2)
    step = max(1, round(side / 28))
    turned: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "shift 1/28": lambda x: ndimage.shift(x, generator.choice([-step, step], 2), order=0),
        "shift 2/28": lambda x: ndimage.shift(x, generator.choice([-2 * step, 2 * step], 2), order=0),
        "rotate 10": lambda x: ndimage.rotate(x, generator.choice([-10, 10]), reshape=False, order=1),
        "rotate 15": lambda x: ndimage.rotate(x, generator.choice([-15, 15]), reshape=False, order=1),
        "zoom 0.9": lambda x: ndimage.affine_transform(x, zoom, middle, order=1),
        "thicker": lambda x: ndimage.grey_dilation(x, (2, 2)),
        "thinner": lambda x: ndimage.grey_erosion(x, (2, 2)),
        "blur 0.7": lambda x: ndimage.gaussian_filter(x, 0.7),
        "dim 0.7": lambda x: 0.7 * x,
        "noise 10": lambda x: x + generator.normal(0, 10, x.shape),
    }
    return {
        name: np.stack(
            [np.clip(change(x), 0, 255).astype(np.uint8) for x in images[:CHANGED, ..., 0].astype(np.float32)]
        )[..., None]
        for name, change in turned.items()
    }


def resized(images: Images, side: int, around: int = 0) -> Images:
    """Pictures brought to another size, with a black border."""
    inner = side - 2 * around
    small = [np.asarray(Image.fromarray(x[..., 0]).resize((inner, inner), Image.Resampling.BICUBIC)) for x in images]
    return np.pad(np.stack(small), ((0, 0), (around, around), (around, around)))[..., None]


def scores(run: Run, dataset: Dataset) -> dict[str, Score]:
    """Each way to tell, larger where a picture is stranger, fitted on training images."""
    predictor = run.predictor()
    session = onnxruntime.InferenceSession(run.file("model.onnx"), providers=["CPUExecutionProvider"])
    learnt, labels = predictor.features(np.asarray(dataset.train.images)), dataset.train.labels
    means = np.stack([learnt[labels == label].mean(axis=0) for label in range(dataset.classes)])
    spread = (learnt - means[labels]).astype(np.float64)
    covariance = spread.T @ spread / len(spread)
    covariance += 1e-3 * np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    whiten = np.linalg.cholesky(np.linalg.inv(covariance))
    centers = means @ whiten
    neighbours = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(directed(learnt[:BANK]))  # shuffled by the split

    def logits(images: Images) -> np.ndarray:
        return np.asarray(session.run(["logits"], {"pixels": images})[0])

    def mahalanobis(images: Images) -> np.ndarray:
        white = predictor.features(images) @ whiten
        return np.asarray(np.min([((white - center) ** 2).sum(axis=1) for center in centers], axis=0))

    ours = predictor.rejection
    return {
        "softmax": lambda x: -predictor.probabilities(x).max(axis=1),
        "energy": lambda x: -logsumexp(logits(x), axis=1),
        "mahalanobis": mahalanobis,
        "knn": lambda x: neighbours.kneighbors(directed(predictor.features(x)))[0][:, -1],
        "features": lambda x: ours.features.distances(directed(predictor.features(x))),
        "pixels": lambda x: ours.pixels.distances(flat(shrunk(x))),
        "eyespot": predictor.strangeness,
    }


def measure(run: Run, dataset: Dataset, foreign: dict[str, Images], familiar: dict[str, Images]) -> dict[str, Any]:
    """AUROC and rejected share of each way, on each kind of picture; the model's accuracy on those that are changed."""
    assert dataset.validation is not None
    assert dataset.test is not None
    generator = np.random.default_rng(0)
    own, labels = dataset.test.images[:MEASURED], dataset.test.labels
    none = foreign | outliers(own, generator)
    mild = mild_changes(own, generator)
    predictor = run.predictor()
    correct = {
        name: float((predictor.probabilities(x).argmax(axis=1) == labels[: len(x)]).mean())
        for name, x in {"test": own, **mild}.items()
    }
    figures: dict[str, Any] = {"accuracy": correct, "ways": {}}
    for way, score in scores(run, dataset).items():
        threshold = float(np.quantile(score(np.asarray(dataset.validation.images)), 1 - DEFAULT_RATE, method="higher"))
        usual = score(own)
        strange = {name: score(x) for name, x in {**none, **mild, **familiar}.items()}
        figures["ways"][way] = {
            "rejected": {name: float((s > threshold).mean()) for name, s in {"test": usual, **strange}.items()},
            "auroc": {
                name: float(
                    roc_auc_score(np.repeat([0, 1], [len(usual), len(strange[name])]), np.r_[usual, strange[name]])
                )
                for name in none
            },
        }
    return figures


def trained(whole: Dataset, model: str, seed: int, folder: Path, options: argparse.Namespace) -> tuple[Run, Dataset]:
    """A run, made unless it is there, and the pictures it has learnt and chosen by."""
    epochs = options.digits_epochs if whole.name == "digits" else options.epochs[model]
    order = np.random.default_rng(seed_for(seed, "benchmark", whole.name)).permutation(len(whole.train))
    dataset = Dataset(
        whole.name, whole.class_names, whole.train.take(np.sort(order[: options.pictures])), test=whole.test
    )
    recipe = Recipe.parse({"model": {"name": model}, "training": {"epochs": epochs, "seed": seed, "batch_size": 64}})
    path = folder / f"{whole.name}-{model}-{seed}"
    if not path.exists():
        train(dataset, recipe, path, verbose=0)
    return eyespot.open_run(path), split(dataset, recipe.split, seed)


def print_table(title: str, measured: list[dict[str, Any]]) -> None:
    """A line for each kind of picture, a column for each way."""
    ways = list(measured[0]["ways"])
    accuracy = statistics.mean(figures["accuracy"]["test"] for figures in measured)
    print(f"\n{title}: accuracy {accuracy:.2%}, {len(measured)} seeds")
    print(f"{'':14}" + "".join(f"{way:>14}" for way in ways))
    for name in measured[0]["ways"]["eyespot"]["rejected"]:
        line = f"{name:14}"
        for way in ways:
            share = statistics.mean(figures["ways"][way]["rejected"][name] for figures in measured)
            areas = [figures["ways"][way]["auroc"].get(name) for figures in measured]
            line += f"{'' if None in areas else f'{min(areas):.4f}':>8}{share:6.2f}"
        right = [figures["accuracy"].get(name) for figures in measured]
        print(line + ("" if None in right else f"   accuracy {statistics.mean(right):.2f}"), flush=True)


def main() -> None:
    """Train, measure, print and write; with --smoke, nothing is written."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--runs", type=Path, default=Path("runs/rejection"), help="trainings found here are kept")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.set_defaults(trainings=[("digits", "cnn"), *TRAININGS], epochs=EPOCHS, digits_epochs=DIGITS_EPOCHS)
    options = parse_arguments(
        parser, seeds=1, trainings=[("mnist", "mnist-mlp")], epochs={"mnist-mlp": 1}, digits_epochs=1
    )
    sets = {"digits": eyespot.load("digits")}
    sets |= {name: load_dataset(name, smoke=options.smoke) for name in ("mnist", "fashion-mnist")}
    tests = {name: np.asarray(dataset.test.images) for name, dataset in sets.items() if dataset.test is not None}
    digits = resized(np.concatenate([sets["digits"].train.images, tests["digits"]]), 28, around=4)
    foreign = {
        "mnist": {"fashion-mnist": tests["fashion-mnist"][:MEASURED]},
        "fashion-mnist": {"mnist": tests["mnist"][:MEASURED], "digits": digits},
        "digits": {"fashion-mnist": resized(tests["fashion-mnist"][:CHANGED], 8)},
    }
    familiar: dict[str, dict[str, Images]] = {"mnist": {"digits": digits}, "fashion-mnist": {}, "digits": {}}
    results: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) if options.smoke else options.runs
        for data, model in options.trainings:
            for seed in range(options.seeds):
                run, dataset = trained(sets[data], model, seed, folder, options)
                measured = measure(run, dataset, foreign[data], familiar[data])
                results.setdefault(f"{data} {model}", []).append({"seed": seed, **measured})
            print_table(f"{data}, {model}", results[f"{data} {model}"])
    if options.smoke:
        return
    record = {
        "date": datetime.now(UTC).date().isoformat(),
        "environment": {key: value for key, value in describe_environment().items() if key != "command"},
        "rate": DEFAULT_RATE,
        "pictures": options.pictures,
        "trainings": results,
    }
    options.results.mkdir(exist_ok=True)
    path = options.results / f"{record['date']}-rejection.json"
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(f"\n{path}")


if __name__ == "__main__":
    run_benchmark(main)
