"""The input, signals, queries and result of a run: the models between the API's relay and the workflow.

They hold ids and the few event properties that conditions read; no personal data (law 1).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from tracks.runs.program import Program
from tracks.shared.payload_model import PayloadModel
from tracks.shared.run_clock import Clock

WORKFLOW_TYPE = "NurtureTrack"
TASK_QUEUE = "perennial"
MEMO_ENROLLMENT = "enrollment_id"
"""In the memo of every run. It tells a repeated start of one enrolment from the start of the next enrolment, which may
have the same workflow id."""
SIGNAL_EVENT = "event"
SIGNAL_ATTRIBUTES = "attributes_changed"
SIGNAL_END = "end"
QUERY_JOURNEY = "journey"
UPDATE_RESOLVE_MESSAGE = "resolve_message"
UPDATE_SKIP_WAIT = "skip_wait"
UPDATE_EXIT = "exit"

SEARCH_ATTRIBUTES = {
    "Track": "Keyword",
    "TrackVersion": "Int",
    "Step": "Keyword",
    "State": "Keyword",
    "NextActionAt": "Datetime",
}
"""Registered with Temporal before the first run starts; Temporal refuses a start that names an unregistered one."""

RunStatus = Literal["completed", "converted", "exited"]
Outcome = Literal["sent", "skipped", "deferred", "unknown", "failed", "done", "happened", "timed_out", "took"]


class PathEntry(PayloadModel):
    """One step that a run has completed."""

    seq: int
    step: str
    kind: str
    outcome: str
    at: datetime
    """When the step ended, on the run's clock."""
    detail: str = ""
    """The reason, the arm or case, or the message id: only ids and reasons."""


class Matched(PayloadModel):
    """The event that a wait matched, as branch conditions see it (`event`)."""

    event_id: str
    name: str
    at: datetime
    properties: dict[str, Any] = {}

    def view(self) -> dict[str, Any]:
        """The variable `event` in conditions. It always has `properties`, which JSON leaves out if they are empty."""
        return self.model_dump() | {"properties": self.properties}


class HeardEvent(PayloadModel):
    """An event that may still end `wait_for` steps of the run (see `workflows.run.received_events`)."""

    event: Matched
    came: datetime
    """When it reached the run, in real time."""
    steps: tuple[str, ...]
    """The `wait_for` steps that it matched, without those that it has ended already."""
    ended_at: datetime | None = None
    """The moment, in real time, at which it last ended a wait; None if it has ended none."""


class EventSignal(PayloadModel):
    """An accepted event that this run can react to; `matches` are the interests that it satisfied."""

    event_id: str
    name: str
    at: datetime
    """When it happened, in real time."""
    matches: tuple[str, ...]
    properties: dict[str, Any] = {}
    enrollment_id: str = ""
    """The enrolment that it was matched for; a later enrolment with the same workflow id ignores it."""


class AttributesChanged(PayloadModel):
    """Attributes that the track waits for have changed, or a condition that it waits for holds now.

    `change_id` makes a repeated signal harmless.
    """

    change_id: str
    names: tuple[str, ...]
    met: str = ""
    """The awaited condition that holds now (see `met_key`), if it is told of one."""
    enrollment_id: str = ""


def met_key(step: str, occurrence: int) -> str:
    """The name of one wait for a condition in the signal that says that it holds."""
    return f"{step}/{occurrence}"


class EndSignal(PayloadModel):
    """End this run now: the contact was erased, or an API call ended the enrolment."""

    reason: str
    enrollment_id: str = ""


class MessageAmid(PayloadModel):
    """The state of a message that is being sent when a run continues as new during its step."""

    channel: str
    """The channel whose activity runs next."""
    deferred: str = ""
    """The reason of its latest deferral."""
    why: str = ""
    """The reason why the breaker that holds it is open."""
    unknown: str = ""
    """The message's id, once its outcome is unknown."""
    asked: int = 0
    """How often the ledger and the provider have been asked about its outcome."""


class RunState(PayloadModel):
    """Everything that a run carries through continue-as-new."""

    pc: int = 0
    seq: int = 0
    occurrences: dict[str, int] = {}
    """How often each step has begun; this number is part of its effect key."""
    counters: dict[str, int] = {}
    """Rounds begun, by repeat step."""
    began: dict[str, datetime] = {}
    """When each step last began, in real time: the look-back of waits."""
    outcomes: dict[str, str] = {}
    """The last outcome by step: `enrollment.steps.<id>` in conditions."""
    matched: dict[str, Matched] = {}
    """The last matching event by wait_for step, whether or not the wait had begun."""
    came: dict[str, datetime] = {}
    """When each of the events in `matched` reached the run, in real time."""
    heard: tuple[HeardEvent, ...] = ()
    """The events that may still end waits, in the order in which they were accepted."""
    due: dict[str, datetime] = {}
    """When each step was last due to begin, in real time. `began` may be later, for example after an outage."""
    moment: datetime | None = None
    """When the next step is due, in real time: the end of the latest wait, even if the run is later than that."""
    acted: bool = False
    """Whether an effect has been executed since that moment."""
    event: Matched | None = None
    """The event that the latest wait matched: `event` in conditions."""
    seen: tuple[str, ...] = ()
    """Ids of recent signals, oldest first."""
    deadline: datetime | None = None
    """When the current wait ends, in real time. Set when a run continues as new during a wait."""
    unreported: tuple[PathEntry, ...] = ()
    """Path entries that no activity has written to the database yet."""
    sent: dict[str, int] = {}
    """Messages sent, by channel."""
    messages: dict[str, int] = {}
    """Messages by outcome; `deferred` counts how often a message was deferred."""
    message: MessageAmid | None = None
    """The message that is being sent. Set when a run continues as new during that step."""
    notes: tuple[str, ...] = ()
    """The latest lines about the run, for its current details."""
    dropped: dict[str, int] = {}
    """Ignored signals, by reason."""


class RunInput(PayloadModel):
    """The input of `NurtureTrack`, also when it continues as new.

    Temporal UI shows it as JSON in the order of these fields: first who and where, last the program.
    """

    track: str
    version: int
    contact_id: str
    enrollment_id: str
    clock: Clock
    state: RunState = RunState()
    continue_after: int = 2000
    """Continue as new at the next step once the history holds this many events (or the server suggests it)."""
    program: Program
    """The program travels with the run, so that a worker of any build can continue it."""


class RunResult(PayloadModel):
    """How a run ended: its result in Temporal."""

    status: RunStatus
    reason: str
    sent: dict[str, int] = {}
    messages: dict[str, int] = {}
    dropped: dict[str, int] = {}


class ResolveMessage(PayloadModel):
    """An operator's decision about a message whose outcome is unknown."""

    decision: Literal["sent", "resend", "skip"]


class Journey(PayloadModel):
    """The answer to the `journey` query: where the run is now."""

    step: str | None
    state: str
    waiting_for: str | None = None
    until: datetime | None = None
    """On the run's clock."""
    path: tuple[PathEntry, ...] = ()
    """Path entries that the database may not hold yet."""
    dropped: dict[str, int] = {}
