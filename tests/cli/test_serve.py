"""`eyespot serve`: what it says, and what becomes of its corrections."""

import asyncio
import json
import re
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from eyespot.data.dataset import Dataset
from eyespot.run import Run
from eyespot.serving import server as module
from eyespot.serving.served_models import Service
from eyespot.serving.server import bind
from eyespot.workflow import serve
from tests.conftest import Answer, digits_are, write_pictures
from tests.serving import raw
from tests.serving.conftest import client_of, digit, png
from tests.serving.models import write_model
from tests.serving.processes import command, served

needs_keras = pytest.mark.skipif(find_spec("keras") is None, reason="trains, which needs Keras")

Opened = Callable[..., Service]


def test_the_address_is_told(tmp_path: Path):
    """In words, here; with --json as one line on standard output, which `served` reads."""
    write_model(tmp_path / "my digits")
    plain = subprocess.Popen(
        command(tmp_path / "my digits", "--port", 0, "--quiet", "--stop-seconds", 1),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with plain:
        assert plain.stdout is not None
        name, _, address = plain.stdout.readline().strip().partition(" at ")
        assert (name, address.rpartition(":")[0]) == ("my digits", "http://127.0.0.1")
        with client_of(address) as client:
            assert client.get("/v1/models/my%20digits").json()["name"] == "my digits"
        plain.terminate()
        assert plain.communicate() == ("", "")
        assert plain.returncode == 0


def test_what_cannot_be_served_is_told(eyespot: Callable[..., Answer], here: Path):
    """No folder, no model in it, no ONNX, two of one name: one sentence, exit code 1."""
    (here / "empty").mkdir()
    (here / "broken").mkdir()
    (here / "broken" / "model.onnx").write_text("no model")
    write_model(here / "a" / "digits")
    write_model(here / "b" / "digits")
    for folders, said in (
        (["nowhere"], "There is no run or export at nowhere"),
        (["empty"], "empty has no model.onnx"),
        (["broken"], "broken/model.onnx is not an ONNX model"),
        (["a/digits", "b/digits"], "a/digits and b/digits have one name, 'digits'"),
    ):
        answer = eyespot("serve", *folders, "--port", 0)
        assert (answer.code, answer.out) == (1, "")
        assert answer.err.startswith("eyespot: ")
        assert said in answer.err
        assert answer.err.count("\n") == 1


def test_an_address_that_cannot_be_had_is_told(eyespot: Callable[..., Answer], here: Path):
    """A port that is taken, a host that is not here or that is none: one sentence."""
    write_model(here / "digits")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        answer = eyespot("serve", "digits", "--port", port)
        assert answer.code == 1
        assert (
            f"Nobody can listen on 127.0.0.1 port {port} (Address already in use): choose another --port" in answer.err
        )
    for host in ("192.0.2.1", "no host", ""):
        answer = eyespot("serve", "digits", "--port", 0, "--host", host or "::ffff:300.1.1.1")
        assert answer.code == 1
        assert "--host" in answer.err
        assert answer.err.splitlines()[-1].startswith("eyespot: ")


def test_what_is_not_installed_is_told(eyespot: Callable[..., Answer], here: Path, monkeypatch: pytest.MonkeyPatch):
    """With how to install it."""
    monkeypatch.setattr(serve, "NEEDED", ("httptools", "no_such_module"))
    answer = eyespot("serve", "digits")
    assert answer.code == 1
    assert "needs no_such_module, which is not installed: pip install 'eyespot[serve]'" in answer.err


@pytest.mark.parametrize("content", ["", "  \n", "two words", "ä", "a\nb", "\x07"])
def test_a_token_file_that_holds_none(eyespot: Callable[..., Answer], here: Path, content: str):
    """Rather no server than one with a token that nobody can send."""
    (here / "token").write_text(content, encoding="utf-8")
    answer = eyespot("serve", "digits", "--token-file", "token")
    assert answer.code == 1
    assert "token holds no token" in answer.err
    assert "cannot be read" in eyespot("serve", "digits", "--token-file", "missing").err


def test_a_limit_of_nothing_is_told(eyespot: Callable[..., Answer], here: Path):
    """By its option."""
    assert "--max-pictures must be above 0; received 0" in eyespot("serve", "digits", "--max-pictures", 0).err


def test_a_token_from_a_file(tmp_path: Path):
    """Requests must bring it, and the log does not show it."""
    write_model(tmp_path / "digits")
    (tmp_path / "token").write_text("secret-123\n")
    with served(tmp_path / "digits", tmp_path / "log", "--token-file", tmp_path / "token") as server:
        assert server.client.get("/v1/models").status_code == 401
        assert server.client.get("/v1/models", headers={"authorization": "Bearer secret-123"}).status_code == 200
        assert "secret" not in server.log.read_text()


def test_a_token_from_the_environment(opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It is asked for as that of a file is."""
    write_model(tmp_path / "digits")
    monkeypatch.setenv("EYESPOT_TOKEN", "secret-123")
    assert opened(tmp_path / "digits").access.token == "secret-123"  # noqa: S105 - of a test


def test_who_listens_everywhere_without_a_token_is_warned(tmp_path: Path):
    """In a sentence, and only then; names are not checked there."""
    write_model(tmp_path / "digits")
    with served(tmp_path / "digits", tmp_path / "log", "--host", "0.0.0.0") as server:  # noqa: S104 - what is tested
        got = raw.ask(server.port, raw.head("GET", "/health/live", host="anything.example"))
        assert got is not None
        assert got.status == 200
        assert "Everybody who can reach 0.0.0.0 can use this server" in server.log.read_text().splitlines()[0]


def test_a_port_is_free_again_at_once():
    """After a server has ended, another can take its port."""
    with bind("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with raw.connect(port) as client:
            accepted, _ = first.accept()
            accepted.close()
            client.recv(1)
    with bind("127.0.0.1", port):
        pass


@needs_keras
def test_a_run_is_served_with_its_examples(run: Run, bars, tmp_path: Path):
    """A real run: its card, its classes, what it says, and why there are no examples of arrays."""
    with served(run.path, tmp_path / "log", "--corrections", tmp_path / "kept") as server:
        client = server.client
        (model,) = client.get("/v1/models").json()["models"]
        assert (model["classes"], model["rejects"], model["card"]) == (list(bars.class_names), True, True)
        assert client.get(f"/v1/models/{run.name}/card").text.startswith("#")
        told = client.get(f"/v1/models/{run.name}/examples").json()
        assert told["examples"] == []
        assert "trained on arrays" in told["note"]


@needs_keras
def test_corrections_can_be_trained_on(eyespot: Callable[..., Answer], run: Run, bars, here: Path):
    """`eyespot train FOLDER` takes what the server has saved, with odd names too."""
    names = ("lying/flat", "standing", "slanting")
    write_model(here / "odd", (*names, *map(str, range(7))))
    with served(here / "odd", here / "log", "--corrections", here / "kept") as server:
        for image, label in list(zip(bars.train.images, bars.train.labels, strict=True))[:60]:
            path = "/v1/models/odd/corrections"
            answer = server.client.post(path, params={"label": names[label], "as_is": True}, content=png(image))
            assert answer.status_code == 201
    trained = eyespot(
        "train",
        "kept",
        "--class-names",
        "kept/class-names.json",
        "--model",
        "mlp",
        "--epochs",
        1,
        "--output",
        "r",
        "--json",
    )
    assert trained.code == 0, trained.err
    found = json.loads((here / "r" / "metrics.json").read_text())
    assert (here / "r" / "model.onnx").is_file()
    assert set(found["validation"]["report"]["classes"]) == set(names)


@needs_keras
def test_corrections_of_an_export_survive_the_next_one(
    eyespot: Callable[..., Answer], trained_on: Callable[[str], Path], here: Path
):
    """They are kept beside the folder that the next export replaces; the export is served all the same."""
    shutil.copytree(trained_on("mine"), here / "r")
    assert eyespot("export", "r").code == 0
    with served(here / "r" / "exports" / "onnx", here / "log") as server:
        answer = server.client.post("/v1/models/onnx/corrections?label=lying", content=digit(7)).json()
    saved = Path(answer["folder"], answer["saved"])
    assert saved.parent == here / "r" / "exports" / "onnx-corrections" / "lying"
    before = saved.read_bytes()
    assert eyespot("export", "r").code == 0
    assert saved.read_bytes() == before


def test_corrections_lie_beside_an_export(tmp_path: Path):
    """Wherever it is named from; those of a run and of any other folder with a model lie in it."""
    export = tmp_path / "onnx"
    (export / "page").mkdir(parents=True)
    (export / "metadata.json").write_text('{"eyespot": 1, "format": "onnx"}')
    (tmp_path / "other").mkdir()
    assert serve._corrections_of(export, None, alone=True) == tmp_path / "onnx-corrections"
    assert serve._corrections_of(export / "page" / "..", None, alone=True) == tmp_path / "onnx-corrections"
    assert serve._corrections_of(tmp_path / "other", None, alone=True) == tmp_path / "other" / "corrections"


@needs_keras
@pytest.mark.parametrize(
    ("options", "shown"), [((), ["digits"]), (("--examples",), ["digits", "mine"]), (("--no-examples",), [])]
)
def test_own_test_pictures_are_shown_only_where_asked(
    options: tuple[str, ...], shown: list[str], trained_on: Callable[[str], Path], opened: Opened
):
    """`/examples` shows those of a public dataset, and own ones with --examples; it never says where they lie."""
    runs = {source: trained_on(source) for source in ("digits", "mine")}
    service = opened(runs["digits"], runs["mine"], "--no-corrections", *options)
    found = {source: asyncio.run(service.models[run.name].examples()) for source, run in runs.items()}
    assert [source for source in runs if len(found[source].images)] == shown
    for source in set(runs) - set(shown):
        assert found[source].note == "This server was started without its test images."


@needs_keras
def test_pictures_that_are_gone_are_not_told_of_by_their_place(
    trained_on: Callable[[str], Path], opened: Opened, tmp_path: Path
):
    """Whoever asks a server for examples learns nothing of its folders."""
    run = tmp_path / "moved"
    shutil.copytree(trained_on("mine"), run)
    recipe = (run / "recipe.yaml").read_text(encoding="utf-8")
    (run / "recipe.yaml").write_text(re.sub("dataset: .*", "dataset: /home/ann/cats", recipe), encoding="utf-8")
    service = opened(run, "--no-corrections", "--examples")
    found = asyncio.run(service.models["moved"].examples())
    assert (len(found.images), found.note) == (0, "The test images cannot be read.")


@pytest.fixture
def opened(eyespot: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch) -> Opened:
    """What `eyespot serve` with some arguments would serve."""

    def call(*arguments: object) -> Service:
        found: list[Service] = []
        monkeypatch.setattr(module, "serve_until_stopped", lambda service, *_: found.append(service))
        answer = eyespot("serve", *arguments, "--port", 0)
        assert answer.code == 0, answer.err
        return found[0]

    return call


@pytest.fixture(scope="module")
def trained_on(tmp_path_factory: pytest.TempPathFactory, fewer: Dataset) -> Iterator[Callable[[str], Path]]:
    """Runs on some of the embedded digits, and on a folder of own pictures, each trained once."""
    import eyespot as api

    root = tmp_path_factory.mktemp("sources")
    made: dict[str, Path] = {}

    def run(source: str) -> Path:
        if source == "mine":
            write_pictures(root / "mine")
        if source not in made:
            given = str(root / source) if source == "mine" else source
            output = root / f"on-{source}"
            api.train(given, output=output, model="mlp", epochs=1, verbose=0)
            made[source] = output
        return made[source]

    with digits_are(fewer):
        yield run
