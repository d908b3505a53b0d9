"""What schemathesis is told: what a picture is, and which models and classes there are."""

import base64
from typing import Any

import schemathesis
from hypothesis import strategies as st

from tests.serving.conftest import digit

PICTURES = st.integers(0, 9).map(digit)

for media_type in ("image/png", "image/jpeg", "application/octet-stream"):
    schemathesis.openapi.media_type(media_type, PICTURES)
schemathesis.openapi.format("byte", PICTURES.map(lambda picture: base64.b64encode(picture).decode()))
schemathesis.openapi.format("binary", PICTURES)


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """Half of all questions are about the model that there is."""
    if path_parameters and "name" in path_parameters and len(str(path_parameters["name"])) % 2:
        path_parameters["name"] = "digits"
    return path_parameters


@schemathesis.hook
def map_query(context: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    """Labels that there are, since OpenAPI cannot name the classes of all models."""
    if query and isinstance(query.get("label"), str) and query["label"]:
        query["label"] = str(ord(query["label"][0]) % 10)
    return query
