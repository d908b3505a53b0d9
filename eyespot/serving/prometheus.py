"""What the server has done, counted, in the text form that Prometheus reads."""

from collections import defaultdict
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds, upper bounds
MOST_LABELS = 200  # of one model that are counted by name; the others are counted together
OTHER = "(other)"


class Metrics:
    """The server's metrics, in a registry of its own: several servers may run in one process.

    Args:
        in_flight: returns the number of requests under /v1 that are worked on.
    """

    def __init__(self, in_flight: Callable[[], int] = lambda: 0) -> None:
        self.registry = CollectorRegistry()
        self._requests = self._counter("requests", "Requests answered.", "route", "method", "status")
        self._seconds = Histogram(
            "eyespot_request_seconds", "From a request's head to its answer.", ("route",), buckets=BUCKETS,
            registry=None,
        )  # fmt: skip
        self.registry.register(_WithoutTimes(self._seconds))
        self._predictions = self._counter("predictions", "Predictions made.", "model", "label")
        self._pictures = self._counter("pictures", "Pictures answered.", "model")
        self._refused = self._counter("refused", "Requests refused, by the word in the answer.", "reason")
        self._loads = self._counter("model_loads", "Models opened.", "model", "outcome")
        Gauge(
            "eyespot_requests_in_flight", "Requests under /v1 that are worked on now.", registry=self.registry
        ).set_function(in_flight)
        ProcessCollector(registry=self.registry)
        self._labels: defaultdict[str, set[str]] = defaultdict(set)

    def request(self, route: str, method: str, status: int, seconds: float, reason: str | None) -> None:
        """Count a request that is answered, or whose client has gone."""
        self._requests.labels(route, method, status).inc()
        self._seconds.labels(route).observe(seconds)
        if reason is not None:
            self.refusal(reason)

    def refusal(self, reason: str) -> None:
        """Count a refusal."""
        self._refused.labels(reason).inc()

    def predictions(self, model: str, labels: Iterable[str], pictures: int) -> None:
        """Count a model's predictions."""
        known_labels = self._labels[model]
        for label in labels:
            if len(known_labels) < MOST_LABELS:
                known_labels.add(label)
            self._predictions.labels(model, label if label in known_labels else OTHER).inc()
        self._pictures.labels(model).inc(pictures)

    def load(self, model: str, outcome: str) -> None:
        """Count a model that was opened: "loaded" or "failed"."""
        self._loads.labels(model, outcome).inc()

    def text(self) -> bytes:
        """Return all metrics, and what the process takes of the machine."""
        return generate_latest(self.registry)

    def _counter(self, name: str, description: str, *labels: str) -> Counter:
        counter = Counter(f"eyespot_{name}", description, labels, registry=None)
        self.registry.register(_WithoutTimes(counter))
        return counter


class _WithoutTimes(Collector):
    """A metric without the times at which its counts began.

    prometheus_client can leave them out only for all its users in the process.
    """

    def __init__(self, metric: Counter | Histogram) -> None:
        self._metric = metric

    def collect(self) -> Iterable[Metric]:
        for metric in self._metric.collect():
            metric.samples = [sample for sample in metric.samples if not sample.name.endswith("_created")]
            yield metric
