"""The metrics for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.doctor.finding_kinds import KINDS
from store.audience.webhooks.destinations import Destination
from store.runs.drop_counts import Drop
from store.runs.events.events import Accepted
from store.runs.outbox.outbox import Backlog
from store.sending.policy.breakers import Breaker


class Metrics:
    """The metrics of the API process, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "perennial_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "perennial_http_request_seconds",
            "Time from a request to the end of its answer.",
            ["method", "route"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
        )
        self.events_accepted = Counter(
            "perennial_events_accepted", "Events stored, by where they came from.", ["source"], registry=self.registry
        )
        self.events_duplicate = Counter(
            "perennial_events_duplicate", "Events that had been stored before.", ["source"], registry=self.registry
        )
        self.events_matched = Counter(
            "perennial_events_matched", "Live enrollments that accepted events went to.", registry=self.registry
        )
        self.rejected = Counter(
            "perennial_rejected",
            "Items of batches and webhooks that were refused, by reason.",
            ["source", "reason"],
            registry=self.registry,
        )

        self.refused = Counter(
            "perennial_overload_refused",
            "Requests answered 429, by whether they go first.",
            ["class"],
            registry=self.registry,
        )

    def event(self, source: str, accepted: Accepted) -> None:
        """Count the result of one event."""
        if accepted.duplicate:
            self.events_duplicate.labels(source).inc()
        elif accepted.erased:
            self.rejected.labels(source, "erased").inc()
        elif accepted.expired:
            self.rejected.labels(source, "expired").inc()
        else:
            self.events_accepted.labels(source).inc()
            self.events_matched.inc(accepted.matched)


class StoredFigures(Collector):
    """Metrics from the database, read for one scrape."""

    def __init__(
        self,
        backlog: Backlog,
        dropped: Sequence[Drop],
        breakers: Sequence[Breaker],
        checkup: tuple[datetime, Mapping[str, int]] | None,
        refused: Sequence[tuple[str, str, int]],
        segments_due: datetime | None = None,
        scores_due: datetime | None = None,
        webhooks: Sequence[Destination] = (),
        future: tuple[int, datetime | None] = (0, None),
        deleted: int = 0,
    ) -> None:
        """`refused` are the deliveries that Temporal refuses for good: kind, cause, count. `segments_due` is when the
        first membership of a segment is to be looked at, `scores_due` the same of grades; `webhooks` are those that
        segments are sent on to. `future`: how many events wait for their time, and when the first of them was due that
        is late; `deleted`: how many events were deleted."""
        self._backlog, self._dropped, self._breakers = backlog, dropped, breakers
        self._checkup, self._refused = checkup, refused
        self._segments_due, self._scores_due, self._webhooks = segments_due, scores_due, webhooks
        self._future, self._deleted = future, deleted

    def collect(self) -> Iterable[Metric]:
        """The metric families."""
        oldest = self._backlog.oldest
        age = (datetime.now(UTC) - oldest).total_seconds() if oldest else 0.0
        yield GaugeMetricFamily(
            "perennial_outbox_depth", "Deliveries that Temporal has not had yet.", self._backlog.waiting
        )
        yield GaugeMetricFamily("perennial_outbox_oldest_seconds", "Age of the oldest of them.", max(age, 0.0))
        aside = GaugeMetricFamily(
            "perennial_outbox_refused",
            "Deliveries that Temporal refuses for good, until somebody decides.",
            labels=["kind", "reason"],
        )
        for kind, cause, count in self._refused:
            aside.add_metric([kind, cause], count)
        yield aside
        dropped = CounterMetricFamily(
            "perennial_dropped", "What went nowhere, by reason.", labels=["reason", "kind", "track"]
        )
        for drop in self._dropped:
            dropped.add_metric([drop.reason, drop.kind, drop.track or ""], drop.count)
        yield dropped
        yield GaugeMetricFamily(
            "perennial_segments_late_seconds",
            "How long a contact has waited that enters or leaves a segment by time alone.",
            _seconds_since(self._segments_due),
        )
        yield GaugeMetricFamily(
            "perennial_scores_late_seconds",
            "How long a contact has waited whose grade changes by time alone.",
            _seconds_since(self._scores_due),
        )
        waiting, late = self._future
        yield GaugeMetricFamily("perennial_future_events", "Events that wait for their time.", waiting)
        yield GaugeMetricFamily(
            "perennial_future_events_late_seconds",
            "How long an event has waited beyond its time.",
            _seconds_since(late),
        )
        yield CounterMetricFamily(
            "perennial_events_deleted", "Events deleted by the policy's retention.", self._deleted
        )
        yield from self._of_webhooks()
        holding = GaugeMetricFamily("perennial_breaker_open", "1 while it holds its messages.", labels=["scope"])
        held = GaugeMetricFamily("perennial_breaker_held", "Messages that wait for it.", labels=["scope"])
        for breaker in self._breakers:
            holding.add_metric([breaker.scope], 1.0 if breaker.state == "open" else 0.0)
            held.add_metric([breaker.scope], breaker.held)
        yield holding
        yield held
        at, counts = self._checkup or (datetime.fromtimestamp(0, UTC), {})
        yield GaugeMetricFamily(
            "perennial_doctor_seconds", "Time since the doctor looked last.", (datetime.now(UTC) - at).total_seconds()
        )
        found = GaugeMetricFamily("perennial_doctor_findings", "What it found, by kind.", labels=["kind"])
        for kind in KINDS:
            found.add_metric([kind], counts.get(kind, 0))
        yield found

    def _of_webhooks(self) -> Iterable[Metric]:
        names = ["segment", "webhook"]
        waiting = GaugeMetricFamily(
            "perennial_segment_webhook_waiting", "Contacts that wait to be sent to a segment's webhook.", labels=names
        )
        oldest = GaugeMetricFamily(
            "perennial_segment_webhook_oldest_seconds", "How long the first of them has waited.", labels=names
        )
        sent = CounterMetricFamily(
            "perennial_segment_webhook_delivered", "Changes that a segment's webhook has accepted.", labels=names
        )
        now = datetime.now(UTC)
        for one in self._webhooks:
            which = [one.segment, one.name]
            waiting.add_metric(which, one.waiting)
            oldest.add_metric(which, max((now - one.oldest).total_seconds(), 0.0) if one.oldest else 0.0)
            sent.add_metric(which, one.delivered)
        yield waiting
        yield oldest
        yield sent


def _seconds_since(due: datetime | None) -> float:
    """How late what was due at that moment is; 0 if it is not due yet."""
    return max((datetime.now(UTC) - due).total_seconds(), 0.0) if due else 0.0


class MeasureRequests:
    """ASGI middleware that counts and times requests by route. A path may hold an id, so it is never a label."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application and measure the request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            route = getattr(scope.get("route"), "path", "unmatched")
            method = scope["method"] if route != "unmatched" else "other"
            self._metrics.requests.labels(method, route, status).inc()
            self._metrics.seconds.labels(method, route).observe(time.perf_counter() - began)
