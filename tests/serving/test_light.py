"""What a server does without."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving.conftest import digit

HEAVY = {"keras", "torch", "sklearn", "pyarrow", "matplotlib", "tensorflow", "onnx"}
SERVED = """
import json, os, signal, sys, threading, urllib.request
from pathlib import Path
from eyespot.serving.limits import ServerLimits
from eyespot.workflow.serve import serve

def question(address):
    picture = Path({picture!r}).read_bytes()
    for path in ("predict?reject=1&seen=1", "occlusion", "corrections?label=7"):
        headers = {{"content-type": "image/png"}}
        request = urllib.request.Request(f"{{address}}/v1/models/digits/{{path}}", picture, headers)
        assert urllib.request.urlopen(request).status in (200, 201)
        if path == "predict?reject=1&seen=1":
            early = sorted(set(sys.modules))
    for path in ("/v1/models", "/metrics", "/openapi.json", "/", "/v1/models/digits/examples"):
        assert urllib.request.urlopen(address + path).status == 200
    print(json.dumps([early, sorted(set(sys.modules))]), flush=True)

def ask(address, names):
    def asked():
        try:
            question(address)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=asked).start()

limits = ServerLimits(stop_seconds=0.4)
serve({folder!r}, port=0, quiet=True, on_ready=ask, corrections={kept!r}, limits=limits)
"""


def test_serving_loads_no_training_framework(model_folder: Path, tmp_path: Path):
    """Answering every kind of question loads none of them; a first prediction does not wait for Pydantic either."""
    import json

    picture = tmp_path / "seven.png"
    picture.write_bytes(digit(7))
    code = SERVED.format(picture=str(picture), folder=str(model_folder), kept=str(tmp_path / "kept"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    early, late = (set(modules) for modules in json.loads(done.stdout))
    assert not HEAVY & late
    assert "pydantic" in late
    assert "fastapi" not in late
    assert {"pydantic", "scipy"} & early == set()


def test_a_runs_test_pictures_need_no_scikit_learn():
    """Importing it takes a second, in which the server's first requests would wait."""
    pytest.importorskip("pyarrow")  # which reads a run's files, and is not there where only models are served
    code = "import sys, eyespot.workflow.run_data; sys.exit('sklearn' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
