"""The activities' names, queues, argument and result types: all that workflows may know of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from tracks.program import import_job
from tracks.program.import_job import ImportState
from tracks.program.run import TASK_QUEUE, Matched, PathEntry, RunStatus
from tracks.shared.wire import Clock, Wire

SEND_EMAIL = "send_email"
SEND_SMS = "send_sms"
SEND_EMAIL_NOW = "send_email_now"
SEND_SMS_NOW = "send_sms_now"
UPDATE_CRM = "update_crm"
CALL_WEBHOOK = "call_webhook"
SET_ATTRIBUTES = "set_attributes"
ENROLL_CONTACT = "enroll_contact"
RECONCILE_MESSAGE = "reconcile_message"
RESOLVE_WAIT = "resolve_wait"
DECIDE_BRANCH = "decide_branch"
CLOSE_RUN = "close_run"
REPORT_PATH = "report_path"
COUNT_UNDELIVERED = "count_undelivered"
APPLY_CHUNK = "apply_chunk"
STEER_IMPORT = "steer_import"

QUEUE_RUNS = TASK_QUEUE
QUEUE_EMAIL = "perennial-email"
QUEUE_SMS = "perennial-sms"
QUEUE_CRM = "perennial-crm"
QUEUE_WEBHOOK = "perennial-webhook"
QUEUE_IMPORTS = import_job.TASK_QUEUE

ERROR_THROTTLED = "ProviderThrottled"
ERROR_UNAVAILABLE = "ProviderUnavailable"


class StepCall(Wire):
    """One effect of one run. Its effect key is `<enrollment_id>/<step>/<occurrence>`.

    The activity reads the track version and the step by the enrollment's id.
    """

    enrollment_id: str
    step: str
    occurrence: int
    clock: Clock
    path: tuple[PathEntry, ...] = ()
    """Progress that has not reached the database yet; stored by the activity's own transaction."""
    channel: str = ""
    """For a `send`: the channel that was chosen, whose activity this is; empty: choose first."""
    track: str = ""
    version: int = 0
    """What the run was started with, if it says so; what counts is what the database says."""
    due: datetime | None = None
    """What is to be taken for now, in real time, where the run's clock jumps; None: the real now."""


class SendResult(Wire):
    """How a message ended. `ended` says that the enrollment is over and the run should stop.

    `elsewhere`, for a `send` alone: nothing was done, the activity of `channel` is to be called. `queued`, where it was
    to be sent at once: nothing was done, it is to stand in its provider's queue.
    """

    outcome: Literal["sent", "skipped", "deferred", "unknown", "failed", "ended", "elsewhere", "queued"]
    reason: str = ""
    until: datetime | None = None
    """For `deferred`: when to ask again, in real time."""
    message_id: str = ""
    channel: str = ""
    why: str = ""
    """Of a `deferred` one that a breaker holds: why that is open, in the words of whoever opened it."""


class EffectResult(Wire):
    """How an effect other than a message ended."""

    outcome: Literal["done", "skipped", "failed", "ended"]
    reason: str = ""


class ReconcileCall(Wire):
    """Ask again about a message whose outcome is unknown.

    `last` is set when the window is over: the activity then settles it by `settle`
    (`assume_sent` marks it sent; `resend` makes it ready to be claimed again and answers `deferred` until
    now; `review` leaves it and answers `unknown`). An operator's decision arrives the same way.
    """

    message_id: str
    settle: Literal["", "assume_sent", "resend", "skip"] = ""


class ResolveWaitCall(Wire):
    """When does this `wait_until` or `wait_date` step end for this contact?"""

    enrollment_id: str
    step: str
    now: datetime
    """The run's clock."""


class ResolvedWait(Wire):
    """The moment on the run's clock, or why there is none."""

    outcome: Literal["at", "missing", "past", "ended"]
    at: datetime | None = None


class BranchCall(Wire):
    """Decide a branch whose conditions read the contact: answers the index of the case, or -1.

    Where conditions could not be computed, it answers a `Decided` instead.
    """

    enrollment_id: str
    step: str
    now: datetime
    event: Matched | None = None
    steps: dict[str, str] = {}


class Decided(Wire):
    """The case that a branch took, and what else there is to say: lines for the run's story."""

    taken: int
    notes: tuple[str, ...] = ()


class CloseCall(Wire):
    """The run is over: store what is left of its path and how it ended."""

    enrollment_id: str
    status: RunStatus
    reason: str
    clock: Clock
    at: datetime
    """On the run's clock."""
    path: tuple[PathEntry, ...] = ()
    counts: dict[str, Any] = {}


class ReportCall(Wire):
    """Store a part of the run's path."""

    enrollment_id: str
    path: tuple[PathEntry, ...]


class UndeliveredCall(Wire):
    """How many deliveries to this run wait to be made?"""

    enrollment_id: str


class ChunkCall(Wire):
    """Apply the rows of an import that are next, if it runs and nothing has to go first."""

    import_id: str


class SteerCall(Wire):
    """Do to an import what an operator says."""

    import_id: str
    word: Literal["pause", "resume", "cancel", "rate"]
    per_second: float | None = None


class ImportProgress(Wire):
    """How far an import is."""

    state: ImportState
    applied: int = 0
    """Rows that this call applied."""
    rows: int = 0
    outcomes: dict[str, int] = {}
    per_second: float = 1.0
    held: str = ""
    """What it gives way to: nothing was applied."""
