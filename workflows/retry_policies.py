"""Retry policies and time limits, named by intent. They are written into histories: change with care."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy

ATTEMPT_LIMIT = timedelta(seconds=30)
"""One attempt of an effect: the provider's read timeout (10 s) and two short transactions, with room to spare.
A worker killed between claim and settle is noticed after this long, past the queue after the ten seconds of the run's
task."""

EFFECT_DEADLINE = timedelta(days=3)
"""How long a provider may be unreachable before the step is given up as failed."""

UNTIL_PROVIDER_ANSWERS = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=5)
)
"""For effects: an attempt that raises has sent nothing, so it may be repeated."""

ONCE = RetryPolicy(maximum_attempts=1)
"""For what has another way where it fails."""

UNTIL_DATABASE_ANSWERS = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
)
"""For local activities: idempotent, and only the database can fail them."""

LOCAL_LIMIT = timedelta(seconds=10)
"""One attempt of a local activity; kept well under the workflow task's time-out by the SDK's heartbeats."""

ASK_AGAIN_AFTER = timedelta(seconds=5)
"""The shortest pause before a message that was put off is asked for again, so that no answer can make a run spin."""

LATE = timedelta(seconds=30)
"""A wait that ends later than this says that something was away: Temporal, or the workers."""

LISTEN_AGAIN_AFTER = timedelta(seconds=2)
LISTEN_FOR = timedelta(minutes=10)
"""How often, and for how long at most, a wait that ended late asks whether something told to its run is on its way."""

PATH_LIMIT = 200
"""Path entries that a run carries along at most before they are brought to the database."""

WAIT_SLICE = timedelta(days=30)
"""The longest single timer: a sleeper looks for a new deployment at least this often."""

RECONCILE_AFTER = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)
"""Real-time pauses between questions about an unknown outcome; providers do not live on a paced clock."""
