"""What OpenAPI says, and what is answered."""

from typing import Any

import pytest
from pydantic import BaseModel

from eyespot.serving import schemas
from eyespot.serving.schemas import OPERATIONS
from tests.serving.conftest import CORRECTIONS, OCCLUSION, PREDICT, Running, Start, digit

SEVEN = digit(7)


@pytest.fixture(scope="module")
def told(shared: Running) -> dict[str, Any]:
    found: dict[str, Any] = shared.client.get("/openapi.json").json()
    return found


def operations(told: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {f"{method} {path}": one for path, methods in told["paths"].items() for method, one in methods.items()}


def test_every_address_is_described(told: dict[str, Any]):
    """With a summary, every option with what it does, every answer with a form, and every refusal as a problem."""
    found = operations(told)
    assert len(found) == len(OPERATIONS) == 10
    for one in found.values():
        assert one["summary"]
        assert all(option["description"] for option in one["parameters"])
        for status, answer in one["responses"].items():
            (form,) = answer["content"].values()
            assert form["schema"]
            assert answer["description"]
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"]
                assert form["schema"]["$ref"] == "#/components/schemas/Problem"
    bodies = [one["requestBody"]["content"] for one in found.values() if "requestBody" in one]
    assert len(bodies) == 3
    assert all({"image/png", "multipart/form-data", "application/json"} <= set(body) for body in bodies)
    assert all(body["application/json"]["example"] for body in bodies)


def test_every_reference_leads_somewhere(told: dict[str, Any]):
    """No form is named that is not there."""
    names: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            names.update(str(value["$ref"]).rpartition("/")[2:] if "$ref" in value else ())
            for inner in value.values():
                walk(inner)
        elif isinstance(value, list):
            for inner in value:
                walk(inner)

    walk(told)
    assert names <= set(told["components"]["schemas"])


@pytest.mark.parametrize(
    ("form", "method", "path", "status"),
    [
        (schemas.Models, "GET", "/v1/models", 200),
        (schemas.Model, "GET", "/v1/models/digits", 200),
        (schemas.ExamplesOfTest, "GET", "/v1/models/digits/examples", 200),
        (schemas.Predictions, "POST", PREDICT, 200),
        (schemas.Predictions, "POST", f"{PREDICT}?reject=true&seen=true&each=true", 200),
        (schemas.Occlusion, "POST", OCCLUSION, 200),
        (schemas.Saved, "POST", f"{CORRECTIONS}?label=7", 201),
        (schemas.State, "GET", "/health/live", 200),
        (schemas.State, "GET", "/health/ready", 200),
        (schemas.Problem, "GET", "/nowhere", 404),
        (schemas.Problem, "POST", f"{PREDICT}?top=x", 422),
    ],
)
def test_answers_have_their_forms(shared: Running, form: type[BaseModel], method: str, path: str, status: int):
    """Exactly the members that are described, with the types that are."""
    answer = shared.client.request(method, path, content=SEVEN if method == "POST" else None)
    assert answer.status_code == status
    form.model_validate_json(answer.content, strict=True)


def test_examples_are_answered(shared: Running, told: dict[str, Any]):
    """What OpenAPI gives as an example of a body gets an answer."""
    for path in (PREDICT, OCCLUSION, f"{CORRECTIONS}?label=7"):
        described = told["paths"][path.partition("?")[0].replace("digits", "{name}")]["post"]
        body = described["requestBody"]["content"]["application/json"]["example"]
        assert shared.client.post(path, json=body).status_code in {200, 201}


def test_the_card_is_markdown(start: Start, model_folder: Any, tmp_path: Any):
    """That of the model, or the one beside it; else a sentence says how to get one."""
    from eyespot.serving.served_models import Deployment
    from tests.serving.models import write_model

    folder = write_model(tmp_path / "m").parent
    client = start(Deployment("m", folder)).client
    missing = client.get("/v1/models/m/card")
    assert (missing.status_code, missing.json()["reason"]) == (404, "card")
    assert not client.get("/v1/models/m").json()["card"]
    (folder / "model-card.md").write_text("# M\n\n七", encoding="utf-8")
    found = client.get("/v1/models/m/card")
    assert (found.text, found.headers["content-type"]) == ("# M\n\n七", "text/markdown; charset=utf-8")
    assert client.get("/v1/models/m").json()["card"]
