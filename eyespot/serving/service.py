"""Service: the models that are served, and what all requests share."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from eyespot.errors import RunError, unknown
from eyespot.serving.access import Access
from eyespot.serving.connections import Connections
from eyespot.serving.counts import Counts
from eyespot.serving.limits import ServerLimits
from eyespot.serving.log import Log
from eyespot.serving.problems import Refusal
from eyespot.serving.served import Offer, Served, load
from eyespot.serving.workers import Workers


@dataclass(eq=False)
class Service:
    """What is served.

    Attributes:
        models: by name.
        closing: it has been told to stop: what was accepted is finished, the rest is refused.
    """

    models: dict[str, Served]
    limits: ServerLimits
    access: Access
    log: Log
    counts: Counts = field(default_factory=Counts)
    closing: bool = False
    workers: Workers = field(init=False)
    connections: Connections = field(init=False)

    def __post_init__(self) -> None:
        self.workers = Workers(self.limits)
        self.connections = Connections(self.limits)
        for name in self.models:
            self.counts.loads[name, "loaded"] += 1

    def model(self, name: str) -> Served:
        """The model of that name.

        Raises:
            Refusal: there is none.
        """
        if name in self.models:
            return self.models[name]
        raise Refusal(HTTPStatus.NOT_FOUND, "model", unknown("model", name[:100], self.models))


def open_service(offers: Sequence[Offer], limits: ServerLimits, access: Access, log: Log) -> Service:
    """Opens all models.

    Raises:
        RunError: two have one name, or there is no model at one.
        ModelError: a model cannot be opened, or cannot answer.
    """
    models: dict[str, Served] = {}
    for offer in offers:
        if offer.name in models:
            raise RunError(
                f"{models[offer.name].offer.folder} and {offer.folder} have one name, {offer.name!r}, which addresses "
                "go by: rename one of them."
            )
        models[offer.name] = load(offer, limits)
    return Service(models, limits, access, log)
