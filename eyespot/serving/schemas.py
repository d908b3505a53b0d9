"""The answers' forms, for OpenAPI; what is sent is made elsewhere, and tests compare the two."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAAAAADhZOFXAAAADklEQVR4nGNgGAXIAAABCAABdVQW4QAAAABJRU5ErkJggg=="


class Strict(BaseModel):
    """A form with exactly these members."""

    model_config = ConfigDict(extra="forbid")


class Class(Strict):
    """A class, and how probable it is."""

    label: str = Field(examples=["7"])
    probability: float = Field(ge=0, le=1, examples=[0.98])


class OnePrediction(Strict):
    """What a picture, or an object on it, shows."""

    picture: str = Field(description="Its file's name, or its number in the request.", examples=["0"])
    label: str = Field(description="The most probable class, or 'none of these' where it is rejected.", examples=["7"])
    probability: float = Field(ge=0, le=1, description="Of the most probable class.", examples=[0.98])
    top: list[Class] = Field(description="The most probable classes, best first.")
    rejected: bool | None = Field(None, description="Whether it is none of the classes; where that was asked for.")
    strangeness: float | None = Field(None, description="How unlike anything the model has seen it is; likewise.")
    threshold: float | None = Field(None, description="The strangeness above which it is rejected; likewise.")
    box: list[int] | None = Field(
        None, min_length=4, max_length=4, description="Where the object is: left, top, right, bottom, in pixels."
    )
    note: str | None = Field(None, description="What to know of how the picture was read.")
    seen: str | None = Field(None, description="The picture as the model sees it, a PNG in base64; with seen=true.")


class Predictions(Strict):
    """What pictures show."""

    model: str = Field(examples=["digits-mlp-1"])
    predictions: list[OnePrediction]


class Occlusion(Strict):
    """How much the logit of a class falls where a part of the picture is covered."""

    label: str = Field(examples=["7"])
    logit: float = Field(examples=[9.1])
    map: list[list[float]] = Field(
        description="height x width: above 0 what speaks for the class, below 0 what speaks against it.",
        examples=[[[0.1, -0.2], [0.0, 1.5]]],
    )
    seen: str = Field(description="The picture as the model sees it, a PNG in base64.", examples=[PNG])


class Saved(Strict):
    """A correction that is kept."""

    saved: str = Field(
        description="Its path below the folder.", examples=["7/20260131T120000.000000Z-0123456789ab.png"]
    )
    folder: str = Field(description="A folder that `eyespot train` takes.", examples=["runs/digits-mlp-1/corrections"])


class Size(Strict):
    """Of the pictures a model sees, in pixels."""

    height: int = Field(examples=[28])
    width: int = Field(examples=[28])
    channels: int = Field(examples=[1])


class Model(Strict):
    """A model that is served."""

    name: str = Field(examples=["digits-mlp-1"])
    classes: list[str] = Field(examples=[["0", "1", "2"]])
    input: Size
    resize: str = Field(description="How a picture is brought to that size: pad, crop or squash.", examples=["squash"])
    appearance: dict[str, Any] | None = Field(description="What its training pictures look like, where that is known.")
    rejects: bool = Field(description="Whether it can answer 'none of these'.")
    corrections: bool = Field(description="Whether corrections are taken.")
    card: bool = Field(description="Whether it has a model card.")
    loaded: str = Field(description="When, ISO 8601, UTC.", examples=["2026-01-31T12:00:00Z"])
    refused: str | None = Field(
        description="Why the file that lies there now is not served, and the model as it was loaded goes on."
    )


class Models(Strict):
    """All models that are served."""

    models: list[Model]


class Example(Strict):
    """A test picture with its right label."""

    label: str = Field(examples=["7"])
    picture: str = Field(description="A PNG in base64.", examples=[PNG])


class ExamplesOfTest(Strict):
    """Pictures of the run's test set."""

    examples: list[Example]
    note: str | None = Field(None, description="What to know of them, such as why there are none.")


class State(Strict):
    """How the server is."""

    status: str = Field(examples=["ready"])


class Problem(BaseModel):
    """Why a request is not answered as it was meant (RFC 9457)."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(examples=["Content Too Large"])
    status: int = Field(examples=[413])
    detail: str = Field(description="What is wrong, and what to do: a sentence.")
    reason: str = Field(description="The same in a word, as the metrics have it.", examples=["body_bytes"])
    limit: float | None = Field(None, description="The limit that is exceeded.", examples=[20_000_000])
    option: str | None = Field(None, description="The server's option that sets it.", examples=["--max-body-bytes"])
    picture: int | None = Field(None, description="Which picture it is about, from 0.")
