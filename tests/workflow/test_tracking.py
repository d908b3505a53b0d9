"""What a run's double in MLflow gets."""

from pathlib import Path
from typing import Any

import pytest

from eyespot.run import Run
from eyespot.training.mlflow import Tracker
from eyespot.workflow.tracking import _log_end


class Files(Tracker):
    """Takes down which files are logged."""

    def __init__(self) -> None:
        super().__init__(None, "id", "nowhere", print)
        self.files: set[str] = set()

    def log_file(self, path: Path, folder: str | None = None) -> None:
        assert path.exists()
        inside = [f"{path.name}/{each.name}" for each in path.iterdir()] if path.is_dir() else [path.name]
        self.files |= {f"{folder}/{name}" if folder else name for name in inside}

    def log_metrics(self, *_: Any) -> None:
        """Nothing."""

    def log_tags(self, *_: Any) -> None:
        """Nothing."""

    def finish(self, status: str) -> None:
        assert status == "FINISHED"


@pytest.mark.parametrize("public", [True, False])
def test_own_pictures_are_not_logged(public: bool, run: Run):
    """Of a public dataset all figures are; of own pictures those that show none of them, and no image the run keeps."""
    assert list((run.path / "images").glob("*.png"))
    tracker = Files()
    _log_end(tracker, run, public=public)
    shown = {f"figures/{kind}-{split}.png" for kind in ("right", "wrong") for split in ("validation", "test")}
    plain = {f"figures/confusion-{split}.png" for split in ("validation", "test")} | {"figures/curves.png"}
    wanted = {"recipe.yaml", "metrics.json", "model.onnx", *plain, *(shown if public else ())}
    assert tracker.files == wanted
