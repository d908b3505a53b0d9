"""What the server has done, counted; `/metrics` shows it."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds, upper bounds
MOST_LABELS = 200  # of one model that are counted by name; the others are counted together
OTHER = "(other)"


@dataclass
class Durations:
    """How long requests took: how many up to each bound of BUCKETS, one more beyond, and seconds in all."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """One more request."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass
class Counts:
    """Plain counters, which only the event loop's thread changes.

    Attributes:
        requests: by (route, method, status).
        durations: by route.
        predictions: by (model, label).
        pictures: answered, by model.
        refused: by reason.
        loads: of models, by (model, "loaded" or "failed").
        in_flight: requests under /v1 that are worked on now.
    """

    requests: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    durations: defaultdict[str, Durations] = field(default_factory=lambda: defaultdict(Durations))
    predictions: Counter[tuple[str, str]] = field(default_factory=Counter)
    pictures: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    loads: Counter[tuple[str, str]] = field(default_factory=Counter)
    in_flight: int = 0
    _labels: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def request(self, route: str, method: str, status: int, seconds: float, reason: str | None) -> None:
        """A request is answered, or its client has gone."""
        self.requests[route, method, status] += 1
        self.durations[route].add(seconds)
        if reason is not None:
            self.refused[reason] += 1

    def predicted(self, model: str, labels: Iterable[str], pictures: int) -> None:
        """A model has told what pictures show."""
        known = self._labels[model]
        for label in labels:
            if len(known) < MOST_LABELS:
                known.add(label)
            self.predictions[model, label if label in known else OTHER] += 1
        self.pictures[model] += pictures
