"""What a run remembers: a `RunState` that can be changed. It makes no Temporal calls, so it is tested on its own."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime

from tracks.runs.run_interface import EventSignal, HeardEvent, Matched, PathEntry, RunState, RunStatus
from workflows.run.received_events import CLOCKS_APART, ReceivedEvents, Since, from_latest

SEEN_LIMIT = 500
"""Ids of signals that are kept to find duplicates, also after continue-as-new. The server itself drops a signal that a
client sends again with the same request id, but only within one run."""
NOTES_LIMIT = 12
"""Notes on what has happened that are kept for the current details."""


class Memory:
    """One run's position in the program, received events, seen signals and progress."""

    def __init__(self, state: RunState, looking_back: frozenset[str] = frozenset()) -> None:
        """Take over a state; `looking_back` are the `wait_for` steps whose look-back begins before the step itself."""
        self.pc = state.pc
        self.seq = state.seq
        self.occurrences = dict(state.occurrences)
        self.counters = dict(state.counters)
        self.began = dict(state.began)
        self.outcomes = dict(state.outcomes)
        self.matched = dict(state.matched)
        self.came = dict(state.came)
        # A state without a moment is from a version that did not keep all events.
        latest = from_latest(state.matched, state.came, state.event) if state.moment is None else ()
        self.heard = ReceivedEvents(state.heard or latest, looking_back)
        self.due = {**state.began, **state.due}
        self.moment = state.moment
        self.acted = state.acted
        self.event = state.event
        self.deadline = state.deadline
        self.unreported = list(state.unreported)
        self.sent = dict(state.sent)
        self.messages = dict(state.messages)
        self.message = state.message
        self.notes = list(state.notes)
        self.dropped = dict(state.dropped)
        self.ending: tuple[RunStatus, str] | None = None
        self.changed: set[str] = set()
        """Attributes that changed since the wait in progress was resolved."""
        self.met: set[str] = set()
        """Awaited conditions that hold (`met_key`). The database keeps them too, for a run that continues as new."""
        self._seen: OrderedDict[str, None] = OrderedDict.fromkeys(state.seen)

    def dump(self) -> RunState:
        """The state to continue as new with."""
        return RunState(
            pc=self.pc,
            seq=self.seq,
            occurrences=self.occurrences,
            counters=self.counters,
            began=self.began,
            outcomes=self.outcomes,
            matched=self.matched,
            came=self.came,
            heard=self.heard.dump(),
            due={step: due for step, due in self.due.items() if due != self.began.get(step)},
            moment=self.moment,
            acted=self.acted,
            event=self.event,
            seen=tuple(self._seen),
            deadline=self.deadline,
            unreported=tuple(self.unreported),
            sent=self.sent,
            messages=self.messages,
            message=self.message,
            notes=tuple(self.notes),
            dropped=self.dropped,
        )

    @property
    def amid(self) -> bool:
        """Whether the step at the program counter began in the run before, which continued as new during it."""
        return self.deadline is not None or self.message is not None

    def drop(self, reason: str) -> None:
        """Count something that is ignored, by its reason (law 8)."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def first_time(self, signal_id: str) -> bool:
        """Whether this id is new. A repeated one is counted, and the caller ignores its signal."""
        if signal_id in self._seen:
            self.drop("duplicate")
            return False
        self._seen[signal_id] = None
        if len(self._seen) > SEEN_LIMIT:
            self._seen.popitem(last=False)
        return True

    def take_event(self, signal: EventSignal, now: datetime) -> None:
        """Remember what an event matched. A goal has priority over an exit rule; the first ending stays."""
        if not self.first_time(signal.event_id):
            return
        event = Matched(event_id=signal.event_id, name=signal.name, at=signal.at, properties=signal.properties)
        if "goal" in signal.matches:
            self.end("converted", "goal")
        for match in signal.matches:
            kind, _, step = match.partition(":")
            if kind == "exit":
                self.end("exited", step)
            latest = self.matched.get(step)
            if kind == "step" and (latest is None or latest.at <= event.at):
                self.matched[step], self.came[step] = event, now
        waits = [step for kind, _, step in (match.partition(":") for match in signal.matches) if kind == "step"]
        for _ in range(self.heard.take(event, now, waits)):
            self.drop("more events than a wait can keep")

    def end(self, status: RunStatus, reason: str) -> None:
        """Ask the run to end; the first reason stays."""
        if self.ending is None:
            self.ending = (status, reason)

    def begin(self, step: str, now: datetime) -> None:
        """A step begins (and does not go on after continue-as-new).

        It was due at the end of the latest wait, even if the run noticed that end late.
        """
        self.occurrences[step] = self.occurrences.get(step, 0) + 1
        self.began[step] = now
        self.moment = now if self.moment is None else min(self.moment, now)
        self.due[step] = self.moment

    def reach(self, moment: datetime) -> None:
        """A wait is over. The next step was due at this moment, in real time."""
        self.moment, self.acted = moment, False

    def record(self, step: str, kind: str, outcome: str, at: datetime, detail: str = "") -> None:
        """A step is over: add it to the path and to the notes. `at` is on the run's clock."""
        self.unreported.append(PathEntry(seq=self.seq, step=step, kind=kind, outcome=outcome, at=at, detail=detail))
        self.seq += 1
        self.outcomes[step] = detail if outcome == "took" else outcome
        reason = f" ({detail})" if detail else ""
        self.note(f"{at:%Y-%m-%d %H:%M} · `{step}` {outcome}{reason}")

    def count(self, outcome: str) -> None:
        """Count an outcome of a message (law 8)."""
        self.messages[outcome] = self.messages.get(outcome, 0) + 1

    def note(self, line: str) -> None:
        """Add a note; only the latest `NOTES_LIMIT` are kept."""
        self.notes.append(line)
        del self.notes[:-NOTES_LIMIT]

    def reported(self, entries: tuple[PathEntry, ...]) -> None:
        """These entries of the path have reached the database, and are kept no longer."""
        last = entries[-1].seq if entries else -1
        self.unreported = [entry for entry in self.unreported if entry.seq > last]

    def since(self, step: str, look_back: str) -> Since | None:
        """The moment from which events count for a wait that has begun, by its look-back; None: from the enrolment."""
        if look_back == "enrollment":
            return None
        # An earlier step that the run did not pass through has no beginning: then this wait's own beginning counts.
        start = look_back if look_back in self.began else step
        return Since(self.due[start], self.began[start])

    def ended_by(self, step: str, ended: HeardEvent, now: datetime) -> None:
        """This event has ended the wait of this step. The next step was due when the event happened."""
        moment = min(max(ended.event.at, self.due[step]), now)
        self.heard.spend(step, ended, moment)
        self.event = ended.event
        self.reach(moment)

    def ended_by_latest(self, step: str, event: Matched, now: datetime) -> None:
        """The same, in a run from before the patch `EVENTS_COUNT_ONCE`."""
        self.event = event
        ended = self.heard.of(step, event.event_id)
        if ended is None:
            self.reach(now)
        else:
            self.ended_by(step, ended, now)

    def match_since(self, step: str, since: datetime | None) -> Matched | None:
        """The latest event that matched this wait, if it happened at or after `since` (None: at any time).

        For runs from before the patch `EVENTS_COUNT_ONCE`.
        """
        event = self.matched.get(step)
        return event if event is not None and (since is None or event.at >= since) else None

    def match_despite_clocks(self, step: str, since: datetime | None) -> Matched | None:
        """That event, if its own time is before `since`, but it arrived after `since` and within `CLOCKS_APART`.

        The sender of an event has a clock of its own, which may be behind. For an event that took longer to arrive,
        its own time decides: it may have been held back, or belong to an earlier step. For runs from before the patch
        `EVENTS_COUNT_ONCE`.
        """
        event, came = self.matched.get(step), self.came.get(step)
        if event is None or came is None or since is None:
            return None
        return event if event.at < since <= came <= event.at + CLOCKS_APART else None
