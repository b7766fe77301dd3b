"""What Prometheus reads at `/metrics`; kept by the server's process, so that no other service is needed."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

__all__ = ["ServerMetrics"]

_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SIZES = (1, 2, 4, 8, 16, 32, 64)


class ServerMetrics:
    """Counts of one server."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "raylab2f_requests", "Requests to judge.", ["model", "status", "verdict"], registry=self._registry
        )
        self._seconds = Histogram(
            "raylab2f_request_seconds",
            "From a request's first line to its answer.",
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._pictures = Histogram(
            "raylab2f_batch_pictures", "Pictures that passed a model together.", buckets=_SIZES, registry=self._registry
        )
        self._lost = Counter(
            "raylab2f_replica_losses", "Requests whose replica died while it judged them.", registry=self._registry
        )
        self._replaced = Counter(
            "raylab2f_models_replaced", "Models exchanged while the server ran.", registry=self._registry
        )
        self.in_flight = Gauge(
            "raylab2f_requests_in_flight", "Requests to judge that are not answered yet.", registry=self._registry
        )

    def answered(self, model: str, status: int, verdict: str, seconds: float, batches: Iterable[int] = ()) -> None:
        """A request to judge was answered; `model` and `verdict` are empty where there was none."""
        self._requests.labels(model, str(status), verdict).inc()
        self._seconds.observe(seconds)
        for size in batches:
            self._pictures.observe(size)

    def lost(self) -> None:
        """A replica died with a request."""
        self._lost.inc()

    def replaced(self) -> None:
        """A model was exchanged."""
        self._replaced.inc()

    def text(self) -> bytes:
        """In the format of Prometheus."""
        return generate_latest(self._registry)
