"""What a run remembers: the mutable twin of `RunState`. No Temporal calls, so it is tested on its own."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

from tracks.run import EventSignal, Matched, PathEntry, RunState, RunStatus

SEEN_LIMIT = 500
"""Signal ids kept for dedupe across runs; the server dedupes retries of one signal within a run."""
CLOCKS_APART = timedelta(seconds=5)
"""An event that comes within this of its own time happened when it came. A click that is held takes twice as long."""
NOTES_LIMIT = 12
"""Lines of the story that current details show."""


class Memory:
    """Position, look-back, dedupe and progress of one run."""

    def __init__(self, state: RunState) -> None:
        self.pc = state.pc
        self.seq = state.seq
        self.occurrences = dict(state.occurrences)
        self.counters = dict(state.counters)
        self.began = dict(state.began)
        self.outcomes = dict(state.outcomes)
        self.matched = dict(state.matched)
        self.came = dict(state.came)
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
        """The step at the program counter has begun already: the run continued as new amid it."""
        return self.deadline is not None or self.message is not None

    def drop(self, reason: str) -> None:
        """Count something ignored (law 8)."""
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def first_time(self, signal_id: str) -> bool:
        """Whether this id is new; a repeat is counted and must be ignored."""
        if signal_id in self._seen:
            self.drop("duplicate")
            return False
        self._seen[signal_id] = None
        if len(self._seen) > SEEN_LIMIT:
            self._seen.popitem(last=False)
        return True

    def take_event(self, signal: EventSignal, now: datetime) -> None:
        """Remember what an event matched. A goal wins over an exit rule; the first ending stays."""
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

    def end(self, status: RunStatus, reason: str) -> None:
        """Ask the run to end; the first reason stays."""
        if self.ending is None:
            self.ending = (status, reason)

    def begin(self, step: str, now: datetime) -> None:
        """A step begins anew (not: resumes)."""
        self.occurrences[step] = self.occurrences.get(step, 0) + 1
        self.began[step] = now

    def record(self, step: str, kind: str, outcome: str, at: datetime, detail: str = "") -> None:
        """A step is over: add it to the path; `at` is on the run's clock."""
        self.unreported.append(PathEntry(seq=self.seq, step=step, kind=kind, outcome=outcome, at=at, detail=detail))
        self.seq += 1
        self.outcomes[step] = detail if outcome == "took" else outcome
        reason = f" ({detail})" if detail else ""
        self.note(f"{at:%Y-%m-%d %H:%M} · `{step}` {outcome}{reason}")

    def count(self, outcome: str) -> None:
        """Count what became of a message (law 8)."""
        self.messages[outcome] = self.messages.get(outcome, 0) + 1

    def note(self, line: str) -> None:
        """Add a line to the story, keeping the latest."""
        self.notes.append(line)
        del self.notes[:-NOTES_LIMIT]

    def reported(self, entries: tuple[PathEntry, ...]) -> None:
        """These entries have reached the database."""
        last = entries[-1].seq if entries else -1
        self.unreported = [entry for entry in self.unreported if entry.seq > last]

    def match_since(self, step: str, since: datetime | None) -> Matched | None:
        """The latest event that matched this wait, if it happened at or after `since`."""
        event = self.matched.get(step)
        return event if event is not None and (since is None or event.at >= since) else None

    def match_despite_clocks(self, step: str, since: datetime | None) -> Matched | None:
        """That event, if it reached the run after `since` and at once, though by its own time it was earlier.

        Whoever told it has a clock of its own. What takes longer than `CLOCKS_APART` to come is taken at its word:
        it may have been held back, or be news of an earlier step.
        """
        event, came = self.matched.get(step), self.came.get(step)
        if event is None or came is None or since is None:
            return None
        return event if event.at < since <= came <= event.at + CLOCKS_APART else None
