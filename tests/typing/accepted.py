"""A user's program: type checkers accept every line, and know what each result is. It is read, and not run."""

from pathlib import Path
from typing import assert_type

import numpy as np

import eyespot


def train_on_arrays(folder: Path) -> eyespot.Run:
    """Images in memory, options of training, and what comes of it."""
    images, labels = np.zeros((60, 8, 8), np.uint8), np.arange(60) % 3
    dataset = eyespot.Dataset.from_arrays(images, labels, class_names=["a", "b", "c"])
    assert_type(dataset, eyespot.Dataset)
    options: eyespot.RecipeOptions = {"model": "mlp", "epochs": 3, "learning_rate": 1e-3, "augment": "digits"}
    training = eyespot.train(dataset, output=folder / "run", verbose=0, **options)
    assert_type(training, eyespot.Training)
    assert_type(training.verdict, eyespot.Verdict)
    assert_type(training.run.recipe, eyespot.Recipe)
    again = eyespot.train((images, labels), training.run.recipe, early_stopping=False, settings={"training.seed": 1})
    assert_type(eyespot.compare([training.run, again.run, folder / "other"]), eyespot.Comparison)
    assert_type(eyespot.find_lr(dataset, model="mlp", schedule="cosine").suggested, float)
    return training.run


def use(run: eyespot.Run, folder: Path) -> float:
    """Predict, measure and serve."""
    predictions = eyespot.predict(run, np.zeros((2, 8, 8), np.uint8), reject=0.05)
    assert_type(predictions, list[eyespot.Prediction])
    assert_type(run.predict(["a.png", b"content", folder / "b.png"])[0].label, str)
    assert_type(eyespot.explain(run, "a.png", methods=["gradcam"]), eyespot.Explanations)
    evaluation = run.evaluate(on=(np.zeros((3, 8, 8)), [0, 1, 2]))
    assert_type(evaluation, eyespot.EvaluationResult)
    with eyespot.serve(run, port=0, background=True) as server:
        assert_type(server, eyespot.BackgroundServer)
        assert_type(server.url, str)
    assert_type(eyespot.serve(run), eyespot.BackgroundServer | None)
    return evaluation.accuracy


def estimate() -> list[str]:
    """Train as with scikit-learn."""
    classifier = eyespot.ImageClassifier("cnn", optimizer="sgd", random_state=np.random.RandomState(0), verbose=1)
    assert_type(classifier.fit([Path("a.png"), Path("b.png")], ["cat", "dog"]), eyespot.ImageClassifier)
    return [str(label) for label in classifier.predict(np.zeros((2, 8, 8)))]


def read_and_look(file: Path) -> None:
    """Recipes and own images."""
    recipe = eyespot.Recipe.read("mnist-cnn-small", {"training.epochs": 3})
    assert_type(recipe, eyespot.Recipe)
    recipe.write(file)
    assert_type(eyespot.load("photos", size=(28, 28), color=False, verbose=0).train, eyespot.Split)
    assert_type(eyespot.look("photos", augment="auto", resize="crop"), eyespot.Look)
    assert_type(eyespot.study(recipe.dataset, grid={"model.dropout": [0, 0.5]}, repeats=2), eyespot.Study)
