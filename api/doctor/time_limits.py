"""How long each thing may take before it counts as a finding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Durations in real time. The defaults are well above what a busy, healthy installation needs."""

    outbox: timedelta = timedelta(minutes=2)
    """From accepted to delivered. A healthy installation needs about a second."""
    start: timedelta = timedelta(minutes=2)
    """From an accepted start until Temporal's lists show the run."""
    late: timedelta = timedelta(minutes=5)
    """How long a run may wait after its timer was due, or live on after it or its enrollment should have ended."""
    worker: timedelta = timedelta(minutes=5)
    """How long a task may wait for a worker."""
    activity: timedelta = timedelta(hours=1)
    """How long an activity may take, with all its attempts."""
    failures: int = 5
    """Attempts at one workflow task. A killed worker costs one, an overloaded server a few."""
    sending: timedelta = timedelta(minutes=10)
    """How long a message may stay claimed without an outcome. One attempt takes 30 seconds at most."""
    unknown: timedelta = timedelta(hours=10)
    """How long an outcome may stay unknown. A run itself asks for 8 hours 36 minutes."""
    deferred: timedelta = timedelta(minutes=15)
    """How long after its due time a deferred message may still wait."""
    segment: timedelta = timedelta(minutes=2)
    """How long after its due time a membership, a grade or an event of the future may still wait to be looked at. A
    healthy installation needs seconds."""
    webhook: timedelta = timedelta(minutes=30)
    """How long a segment's webhook may accept nothing."""
    touch: timedelta = timedelta(minutes=2)
    """How long after the end of its hold a click may still wait to be told."""
