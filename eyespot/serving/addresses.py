"""The addresses that are answered, as patterns: of these there are few, whatever is asked for."""

MODELS = "/v1/models"
MODEL = "/v1/models/{name}"
CARD = "/v1/models/{name}/card"
EXAMPLES = "/v1/models/{name}/examples"
PREDICT = "/v1/models/{name}/predict"
OCCLUSION = "/v1/models/{name}/occlusion"
CORRECTIONS = "/v1/models/{name}/corrections"
LIVE, READY = "/health/live", "/health/ready"
METRICS, OPENAPI, PAGE, PAGE_FILE = "/metrics", "/openapi.json", "/", "/page/{file}"
NOWHERE = "(none)"

_PLAIN = frozenset({MODELS, LIVE, READY, METRICS, OPENAPI, PAGE})
_OF_MODEL = {"": MODEL} | {
    pattern.rpartition("/")[2]: pattern for pattern in (CARD, EXAMPLES, PREDICT, OCCLUSION, CORRECTIONS)
}


def pattern_of(path: str) -> str:
    """The pattern that an address has; NOWHERE where it is none of them."""
    if path in _PLAIN:
        return path
    if path.startswith(f"{MODELS}/"):
        name, _, verb = path.removeprefix(f"{MODELS}/").partition("/")
        return _OF_MODEL.get(verb, NOWHERE) if name and not path.endswith("/") else NOWHERE
    return PAGE_FILE if path.startswith("/page/") else NOWHERE


def model_of(path: str) -> str:
    """The name of the model in an address below MODELS."""
    return path.removeprefix(f"{MODELS}/").partition("/")[0]
