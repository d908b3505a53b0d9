"""What a server does without."""

import subprocess
import sys
from pathlib import Path

from tests.serving.conftest import digit

HEAVY = {"keras", "torch", "sklearn", "pyarrow", "matplotlib", "tensorflow", "onnx"}
SERVED = """
import json, sys, threading, urllib.request
from pathlib import Path
from eyespot.serving.limits import ServerLimits
from eyespot.workflow.serve import serve

def ask(address, names):
    def asked():
        picture = Path({picture!r}).read_bytes()
        first = set(sys.modules)
        for path in ("predict?reject=1&seen=1", "occlusion", "corrections?label=7"):
            headers = {{"content-type": "image/png"}}
            request = urllib.request.Request(f"{{address}}/v1/models/digits/{{path}}", picture, headers)
            assert urllib.request.urlopen(request).status in (200, 201)
            if path == "predict?reject=1&seen=1":
                early = sorted(set(sys.modules))
        for path in ("/v1/models", "/metrics", "/openapi.json", "/", "/v1/models/digits/examples"):
            assert urllib.request.urlopen(address + path).status == 200
        late = sorted(set(sys.modules))
        import eyespot.workflow.run_data
        print(json.dumps([early, late, sorted(sys.modules)]), flush=True)
        import os, signal
        os.kill(os.getpid(), signal.SIGTERM)
    threading.Thread(target=asked).start()

limits = ServerLimits(stop_seconds=0.4)
serve({folder!r}, port=0, quiet=True, on_ready=ask, corrections={kept!r}, limits=limits)
"""


def test_serving_loads_no_training_framework(model_folder: Path, tmp_path: Path):
    """Answering every kind of question loads none of them, and what reads a run's test pictures no scikit-learn; a
    first prediction does not wait for Pydantic either."""
    import json

    picture = tmp_path / "seven.png"
    picture.write_bytes(digit(7))
    code = SERVED.format(picture=str(picture), folder=str(model_folder), kept=str(tmp_path / "kept"))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    early, late, reading = (set(modules) for modules in json.loads(done.stdout))
    assert not HEAVY & late
    assert "sklearn" not in reading
    assert "pydantic" in late
    assert "fastapi" not in late
    assert {"pydantic", "scipy"} & early == set()
