"""How long each thing may take before it counts as a finding."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class TimeLimits:
    """Real time; the defaults stand well above what a busy, healthy house needs."""

    outbox: timedelta = timedelta(minutes=2)
    """Delivering what was accepted; a second in a house that keeps up."""
    start: timedelta = timedelta(minutes=2)
    """A start's way from accepted to Temporal, and Temporal's lists hearing of it."""
    late: timedelta = timedelta(minutes=5)
    """How long after its timer's time a run may still wait, and an ended run or enrollment live on."""
    worker: timedelta = timedelta(minutes=5)
    """A step's wait for a worker."""
    activity: timedelta = timedelta(hours=1)
    """An activity with all its attempts."""
    failures: int = 5
    """Attempts at one workflow task: a worker's death costs one, a server's overload a few."""
    sending: timedelta = timedelta(minutes=10)
    """A claim without a word of the provider's: an attempt takes 30 seconds at most."""
    unknown: timedelta = timedelta(hours=10)
    """A run's own questions about an unknown outcome take 8 hours 36 minutes."""
    deferred: timedelta = timedelta(minutes=15)
    """How long after its turn a deferred message may be asked for again."""
    touch: timedelta = timedelta(minutes=2)
    """How long after its hold a click may be told."""
