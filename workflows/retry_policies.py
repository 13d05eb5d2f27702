"""Retry policies and time limits, named by their purpose. They are written into histories: change them with care."""

from __future__ import annotations

from datetime import timedelta

from temporalio.common import RetryPolicy

ATTEMPT_LIMIT = timedelta(seconds=30)
"""The limit of one attempt of an effect: the provider's read timeout (10 s), two short transactions and a reserve.
If a worker is killed between claim and settle, Temporal notices after this time; where the message is sent by a local
activity, after the ten seconds of the run's workflow task."""

EFFECT_DEADLINE = timedelta(days=3)
"""How long a provider may be unreachable before the step counts as failed."""

UNTIL_PROVIDER_ANSWERS = RetryPolicy(
    initial_interval=timedelta(seconds=1), backoff_coefficient=2.0, maximum_interval=timedelta(minutes=5)
)
"""For effects: an attempt that raises has sent nothing, so it can be repeated."""

ONCE = RetryPolicy(maximum_attempts=1)
"""For an activity in whose place something else is done where it fails."""

UNTIL_DATABASE_ANSWERS = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2.0,
    maximum_interval=timedelta(seconds=30),
)
"""For local activities: they are idempotent, and only the database can make them fail."""

LOCAL_LIMIT = timedelta(seconds=10)
"""The limit of one attempt of a local activity. The SDK's heartbeats keep the workflow task alive meanwhile."""

ASK_AGAIN_AFTER = timedelta(seconds=5)
"""The shortest pause before a deferred message is tried again, so that no answer makes a run loop without a pause."""

LATE = timedelta(seconds=30)
"""A wait that ends later than this after its deadline shows an outage of Temporal or of the workers."""

LISTEN_AGAIN_AFTER = timedelta(seconds=2)
LISTEN_FOR = timedelta(minutes=10)
"""How often, and for how long at most, a run asks after a late wait whether signals for it are on their way."""

PATH_LIMIT = 200
"""The most path entries that a run keeps before it writes them to the database."""

WAIT_SLICE = timedelta(days=30)
"""The longest single timer: a waiting run looks for a new deployment at least this often."""

RECONCILE_AFTER = (
    timedelta(seconds=5),
    timedelta(minutes=1),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=6),
)
"""Pauses between the questions about an unknown outcome, in real time also where the run's clock is paced."""
