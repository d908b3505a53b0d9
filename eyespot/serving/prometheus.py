"""The counts in the text form that Prometheus reads."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from eyespot.serving.counts import BUCKETS, Counts

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def rendered(counts: Counts) -> bytes:
    """All counts, and what the process takes of the machine."""
    registry = CollectorRegistry()
    registry.register(_Counted(counts))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Counted(Collector):
    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        counts = self._counts
        answered = {(route, method, str(status)): n for (route, method, status), n in counts.requests.items()}
        yield _counter("requests", "Requests answered.", ("route", "method", "status"), answered)
        yield self._durations()
        yield _counter("predictions", "Predictions made.", ("model", "label"), counts.predictions)
        yield _counter(
            "pictures", "Pictures answered.", ("model",), {(name,): n for name, n in counts.pictures.items()}
        )
        reasons = {(reason,): count for reason, count in counts.refused.items()}
        yield _counter("refused", "Requests refused, by the word in the answer.", ("reason",), reasons)
        yield _counter("model_loads", "Models opened.", ("model", "outcome"), counts.loads)
        yield GaugeMetricFamily(
            "eyespot_requests_in_flight", "Requests under /v1 that are worked on now.", value=counts.in_flight
        )

    def _durations(self) -> Metric:
        durations = HistogramMetricFamily(
            "eyespot_request_seconds", "From a request's head to its answer.", labels=("route",)
        )
        bounds = [*map(str, BUCKETS), "+Inf"]
        for route, taken in self._counts.durations.items():
            buckets = list(zip(bounds, map(float, accumulate(taken.counts)), strict=True))
            durations.add_metric((route,), buckets, taken.total)
        return durations


def _counter(name: str, told: str, labels: tuple[str, ...], counts: Mapping[Any, int]) -> Metric:
    family = CounterMetricFamily(f"eyespot_{name}", told, labels=labels)
    for values, count in counts.items():
        family.add_metric(values, count)
    return family
