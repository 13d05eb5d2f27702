"""The activities' names, task queues, arguments and results: everything that workflows may know about them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from tracks.runs import import_interface
from tracks.runs.import_interface import ImportState
from tracks.runs.run_interface import TASK_QUEUE, Matched, PathEntry, RunStatus
from tracks.shared.payload_model import PayloadModel
from tracks.shared.run_clock import Clock

SEND_EMAIL = "send_email"
SEND_SMS = "send_sms"
SEND_EMAIL_NOW = "send_email_now"
SEND_SMS_NOW = "send_sms_now"
UPDATE_CRM = "update_crm"
CALL_WEBHOOK = "call_webhook"
SET_ATTRIBUTES = "set_attributes"
ENROLL_CONTACT = "enroll_contact"
RECONCILE_MESSAGE = "reconcile_message"
HAND_OVER = "hand_over"
SETTLE_HANDOFF = "settle_handoff"
RESOLVE_WAIT = "resolve_wait"
AWAIT_CONDITION = "await_condition"
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
QUEUE_IMPORTS = import_interface.TASK_QUEUE

ERROR_THROTTLED = "ProviderThrottled"
ERROR_UNAVAILABLE = "ProviderUnavailable"


class StepCall(PayloadModel):
    """One effect of one run. Its effect key is `<enrollment_id>/<step>/<occurrence>`.

    The activity reads the track version and the step by the enrollment's id.
    """

    enrollment_id: str
    step: str
    occurrence: int
    clock: Clock
    path: tuple[PathEntry, ...] = ()
    """Progress that is not in the database yet; the activity's own transaction stores it."""
    channel: str = ""
    """For a `send`: the chosen channel, to which this activity belongs. Empty: choose the channel first."""
    track: str = ""
    version: int = 0
    """The version that the run was started with, if known. The version in the database is authoritative."""
    due: datetime | None = None
    """If the run's clock jumps: the moment to use as the current time, in real time. None: the actual time."""
    event_id: str = ""
    """The event that the latest wait matched, if the step's texts read it. Its properties are read from the store."""


class SendResult(PayloadModel):
    """How a message ended. `ended`: the enrollment is over and the run should stop.

    `elsewhere` (only for a `send`): nothing was done; call the activity of `channel`. `queued` (only for a local
    activity): nothing was done; the message has to go through its provider's queue.
    """

    outcome: Literal["sent", "skipped", "deferred", "unknown", "failed", "ended", "elsewhere", "queued"]
    reason: str = ""
    until: datetime | None = None
    """For `deferred`: when to ask again, in real time."""
    message_id: str = ""
    channel: str = ""
    why: str = ""
    """If a breaker defers it: why that breaker is open, in the words of whoever opened it."""


class EffectResult(PayloadModel):
    """How an effect other than a message ended."""

    outcome: Literal["done", "skipped", "failed", "ended"]
    reason: str = ""


class HandedOver(PayloadModel):
    """Whether a lead was handed over. `waiting`: sales has to answer until `due` (real time)."""

    outcome: Literal["waiting", "skipped", "failed", "ended"]
    reason: str = ""
    due: datetime | None = None


class SettleHandoffCall(PayloadModel):
    """The run no longer waits for the answer of this handoff: end it with `status`, unless sales has answered."""

    enrollment_id: str
    step: str
    occurrence: int
    status: Literal["expired", "failed"]


class SettledHandoff(PayloadModel):
    """How the handoff ended: as asked, or by an answer whose event had not reached the run yet."""

    outcome: Literal["accepted", "rejected", "expired"]
    event: Matched | None = None
    """The answer's event, with the properties that conditions in the run read."""


class ReconcileCall(PayloadModel):
    """Ask again about a message whose outcome is unknown.

    `settle` is set when the time for asking is over, and the activity then settles the message: `assume_sent` marks it
    as sent; `resend` releases it for another claim (the result is `deferred` until now); `skip` marks it as skipped. An
    operator's decision arrives in the same way.
    """

    message_id: str
    settle: Literal["", "assume_sent", "resend", "skip"] = ""
    event_id: str = ""
    """See `StepCall`."""


class ResolveWaitCall(PayloadModel):
    """Ask when this step, which waits for a moment, ends for this contact."""

    enrollment_id: str
    step: str
    now: datetime
    """On the run's clock."""


class ResolvedWait(PayloadModel):
    """The moment on the run's clock, or why there is none."""

    outcome: Literal["at", "missing", "past", "ended"]
    at: datetime | None = None


class AwaitConditionCall(PayloadModel):
    """Ask whether the condition of a `wait_for` step holds; if not, and this is not the `last` time, the run is
    signalled as soon as it does."""

    enrollment_id: str
    step: str
    occurrence: int
    last: bool = False


class AwaitedCondition(PayloadModel):
    """Whether the condition holds, or has held since the step began. `ended`: the enrollment is over."""

    outcome: Literal["met", "waiting", "ended"]


class BranchCall(PayloadModel):
    """Decide a branch whose conditions read the contact; the result is the index of the case, or -1.

    If a condition could not be computed, the result is a `Decided` instead.
    """

    enrollment_id: str
    step: str
    now: datetime
    event: Matched | None = None
    steps: dict[str, str] = {}


class Decided(PayloadModel):
    """The case that a branch took, and lines for the run's details."""

    taken: int
    notes: tuple[str, ...] = ()


class CloseCall(PayloadModel):
    """The run is over: store the rest of its path, and how it ended."""

    enrollment_id: str
    status: RunStatus
    reason: str
    clock: Clock
    at: datetime
    """On the run's clock."""
    path: tuple[PathEntry, ...] = ()
    counts: dict[str, Any] = {}


class ReportCall(PayloadModel):
    """Store a part of the run's path."""

    enrollment_id: str
    path: tuple[PathEntry, ...]


class UndeliveredCall(PayloadModel):
    """Ask how many deliveries to this run are waiting."""

    enrollment_id: str


class ChunkCall(PayloadModel):
    """Apply the next rows of an import, if it is running and nothing has priority over it."""

    import_id: str


class SteerCall(PayloadModel):
    """Carry out an operator's command on an import."""

    import_id: str
    word: Literal["pause", "resume", "cancel", "rate"]
    per_second: float | None = None


class ImportProgress(PayloadModel):
    """The progress of an import."""

    state: ImportState
    applied: int = 0
    """The rows that this call applied."""
    rows: int = 0
    outcomes: dict[str, int] = {}
    per_second: float = 1.0
    held: str = ""
    """What the import waits for; if set, nothing was applied."""
