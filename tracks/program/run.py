"""What a run is started with and told: the models between the API's relay and the workflow.

Ids and the few event properties that conditions read; nothing personal (law 1).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from tracks.program.program import Program
from tracks.shared.wire import Clock, Wire

WORKFLOW_TYPE = "NurtureTrack"
TASK_QUEUE = "perennial"
MEMO_ENROLLMENT = "enrollment_id"
"""In every run's memo: tells a repeated start of one enrolment from the start of the next with the same workflow id."""
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
"""Registered with Temporal before the first run starts; a start that names an unregistered one fails."""

RunStatus = Literal["completed", "converted", "exited"]
Outcome = Literal["sent", "skipped", "deferred", "unknown", "failed", "done", "happened", "timed_out", "took"]


class PathEntry(Wire):
    """One step that a run has been through."""

    seq: int
    step: str
    kind: str
    outcome: str
    at: datetime
    """When it ended, on the run's clock."""
    detail: str = ""
    """Why, which arm or case, which message id: ids and reasons only."""


class Matched(Wire):
    """The event that a wait matched, as branch conditions see it (`event`)."""

    event_id: str
    name: str
    at: datetime
    properties: dict[str, Any] = {}

    def view(self) -> dict[str, Any]:
        """`event` in conditions: with its properties also where it has none, which JSON leaves out."""
        return self.model_dump() | {"properties": self.properties}


class HeardEvent(Wire):
    """An event that `wait_for` steps of the run may still be ended by (see `workflows.run.received_events`)."""

    event: Matched
    came: datetime
    """When it reached the run, in real time."""
    steps: tuple[str, ...]
    """The `wait_for` steps that it matched, without those that it has ended already."""
    ended_at: datetime | None = None
    """The moment, in real time, at which it last ended a wait; None where it has ended none."""


class EventSignal(Wire):
    """An accepted event that this run can react to; `matches` are the interests it satisfied."""

    event_id: str
    name: str
    at: datetime
    """When it happened, in real time."""
    matches: tuple[str, ...]
    properties: dict[str, Any] = {}
    enrollment_id: str = ""
    """Whom it was matched for: a later enrolment under the same workflow id ignores it."""


class AttributesChanged(Wire):
    """Attributes that the track waits on have changed; `change_id` makes a repeat harmless."""

    change_id: str
    names: tuple[str, ...]
    enrollment_id: str = ""


class EndSignal(Wire):
    """End this run now (the contact was erased, or the API was told to)."""

    reason: str
    enrollment_id: str = ""


class MessageAmid(Wire):
    """A message on its way, when a run continues as new amid its step."""

    channel: str
    """Whose activity is asked next."""
    deferred: str = ""
    """Why it was put off last."""
    why: str = ""
    """Why the breaker that holds it is open."""
    unknown: str = ""
    """The message's id, once its outcome is unknown."""
    asked: int = 0
    """How often the ledger and the provider have been asked about it."""


class RunState(Wire):
    """All that a run carries through continue-as-new."""

    pc: int = 0
    seq: int = 0
    occurrences: dict[str, int] = {}
    """How often each step has begun: part of its effect key."""
    counters: dict[str, int] = {}
    """Rounds begun, by repeat step."""
    began: dict[str, datetime] = {}
    """When each step last began, in real time: the look-back of waits."""
    outcomes: dict[str, str] = {}
    """Last outcome by step: `enrollment.steps.<id>` in conditions."""
    matched: dict[str, Matched] = {}
    """Last matching event by wait_for step, whether or not the wait had begun."""
    came: dict[str, datetime] = {}
    """When each of those reached the run, in real time."""
    heard: tuple[HeardEvent, ...] = ()
    """The events that waits may still be ended by, in the order in which they were accepted."""
    due: dict[str, datetime] = {}
    """When each step last was due to begin, in real time; `began` may be later, where something was away."""
    moment: datetime | None = None
    """When what comes next is due, in real time: the end of the latest wait, though the run may be later."""
    acted: bool = False
    """Whether something was done outside since that moment."""
    event: Matched | None = None
    """What the latest wait matched: `event` in conditions."""
    seen: tuple[str, ...] = ()
    """Ids of recent signals, oldest first."""
    deadline: datetime | None = None
    """When the wait in progress ends, in real time: set when a run continues as new amid a wait."""
    unreported: tuple[PathEntry, ...] = ()
    """Path entries that no activity has taken to the database yet."""
    sent: dict[str, int] = {}
    """Messages sent, by channel."""
    messages: dict[str, int] = {}
    """Messages by what became of them; `deferred` counts how often one was put off on its way."""
    message: MessageAmid | None = None
    """The message on its way: set when a run continues as new amid it."""
    notes: tuple[str, ...] = ()
    """Latest lines of the run's story, for its current details."""
    dropped: dict[str, int] = {}
    """Signals ignored, by reason."""


class RunInput(Wire):
    """What `NurtureTrack` is started with, and continues with.

    Temporal UI opens a run with this as JSON, in the order of these fields: who and where first, the program last.
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
    """Carried along, not looked up: a worker of any build can go on with a run that any other has begun."""


class RunResult(Wire):
    """How a run ended: its result in Temporal."""

    status: RunStatus
    reason: str
    sent: dict[str, int] = {}
    messages: dict[str, int] = {}
    dropped: dict[str, int] = {}


class ResolveMessage(Wire):
    """An operator's word on a message whose outcome nobody knows."""

    decision: Literal["sent", "resend", "skip"]


class Journey(Wire):
    """The answer to the `journey` query: where the run is now."""

    step: str | None
    state: str
    waiting_for: str | None = None
    until: datetime | None = None
    """On the run's clock."""
    path: tuple[PathEntry, ...] = ()
    """Entries the database may not hold yet."""
    dropped: dict[str, int] = {}
