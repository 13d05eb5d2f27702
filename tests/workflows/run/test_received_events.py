"""Which event ends which wait: each event counts once, also across continue-as-new."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tracks.runs.run_interface import EventSignal, HeardEvent, Matched, RunState
from workflows.run.received_events import KEPT, KEPT_FOR_A_STEP, ReceivedEvents, Since, from_latest
from workflows.run.run_memory import Memory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minutes(count: int) -> datetime:
    return NOON + timedelta(minutes=count)


def event(event_id: str, at: int = 0) -> Matched:
    return Matched(event_id=event_id, name="viewed", at=minutes(at))


# The rule in a second, slower implementation: a plan of waits, and all events of the contact, known from the beginning.


@dataclass(frozen=True)
class Pause:
    """A `wait`."""

    length: int


@dataclass(frozen=True)
class For:
    """A `wait_for`. The same step again is a later round of a repeat."""

    step: str
    since: str
    within: int


@dataclass(frozen=True)
class Viewed:
    """An event that matches the waits of these steps. Events are numbered in the order of acceptance."""

    number: int
    at: int
    steps: tuple[str, ...]


Plan = Sequence[Pause | For]


def by_the_rule(plan: Plan, events: Sequence[Viewed]) -> list[tuple[str, int | None]]:
    """Each `wait_for` with the number of the event that ended it, computed from all events each time."""
    moment, ends = 0, list[tuple[str, int | None]]()
    began: dict[str, int] = {}
    ended: list[tuple[int, str, int]] = []  # which event, which step, when
    for part in plan:
        if isinstance(part, Pause):
            moment += part.length
            continue
        began[part.step] = moment
        start = {"step": moment, "enrollment": -1}.get(part.since, began.get(part.since, moment))
        found = None
        for one in events:
            by_this_step = any(number == one.number and step == part.step for number, step, _ in ended)
            moments = [when for number, _, when in ended if number == one.number]
            new = not moments or (part.since != "step" and max(moments) < moment)
            in_time = start <= one.at < moment + part.within
            if part.step in one.steps and new and not by_this_step and in_time:
                found = one
                break
        if found is None:
            moment += part.within
        else:
            moment = max(moment, found.at)
            ended.append((found.number, part.step, moment))
        ends.append((part.step, found.number if found else None))
    return ends


def as_a_run(plan: Plan, events: Sequence[Viewed], parted: Sequence[bool]) -> list[tuple[str, int | None]]:
    """The same with a run's memory, event by event. It continues as new before the parts that `parted` names."""
    looking_back = frozenset(part.step for part in plan if isinstance(part, For) and part.since != "step")
    memory, now, ends = Memory(RunState(), looking_back), 0, list[tuple[str, int | None]]()
    memory.moment = NOON
    left = list(events)

    def hear(until: int) -> None:
        while left and left[0].at <= until:
            one = left.pop(0)
            matches = tuple(f"step:{step}" for step in one.steps)
            signal = EventSignal(event_id=str(one.number), name="viewed", at=minutes(one.at), matches=matches)
            memory.take_event(signal, minutes(one.at))

    for part, continues in zip(plan, parted, strict=True):
        if continues:
            memory = Memory(RunState.model_validate_json(memory.dump().model_dump_json()), looking_back)
        memory.begin(part.step if isinstance(part, For) else "pause", minutes(now))
        if isinstance(part, Pause):
            now += part.length
            hear(now - 1)
            memory.reach(minutes(now))
            continue
        memory.heard.begin(part.step, Since(memory.due[part.step], memory.began[part.step]))
        deadline, found = now + part.within, None
        while True:
            since = memory.since(part.step, part.since)
            found = memory.heard.first(part.step, since, memory.due[part.step], None)
            if found is not None or not left or left[0].at >= deadline:
                break
            now = max(now, left[0].at)
            hear(now)
        if found is None:
            now = deadline
            memory.reach(minutes(now))
        else:
            memory.ended_by(part.step, found, minutes(now))
        ends.append((part.step, int(found.event.event_id) if found else None))
    return ends


steps = st.sampled_from(["a", "b", "c"])
lengths = st.integers(0, 30)
parts = st.one_of(
    st.builds(Pause, st.integers(1, 30)),
    st.builds(For, steps, st.sampled_from(["step", "step", "enrollment", "a"]), st.integers(1, 40)),
)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Waits in a row. A step has the same look-back everywhere."""
    since: dict[str, str] = {}
    drawn = draw(st.lists(parts, min_size=1, max_size=12))
    return [
        For(part.step, since.setdefault(part.step, part.since), part.within) if isinstance(part, For) else part
        for part in drawn
    ]


@st.composite
def stories(draw: st.DrawFn) -> Sequence[Viewed]:
    """Events in order, often several at the same time."""
    moments = sorted(draw(st.lists(st.integers(0, 120), max_size=15)))
    matched = st.lists(steps, min_size=1, max_size=3, unique=True).map(tuple)
    return [Viewed(number, at, draw(matched)) for number, at in enumerate(moments)]


@given(plans(), stories(), st.data())
def test_a_run_counts_events_by_the_rule_though_it_continues_as_new(
    plan: Plan, story: Sequence[Viewed], data: st.DataObject
) -> None:
    parted = data.draw(st.lists(st.booleans(), min_size=len(plan), max_size=len(plan)))
    assert as_a_run(plan, story, parted) == by_the_rule(plan, story)


@given(st.integers(0, 6), st.integers(1, 6), st.sampled_from(["step", "enrollment"]))
def test_as_many_rounds_end_as_events_came_together(came: int, rounds: int, since: str) -> None:
    plan = [For("a", since, 10)] * rounds
    story = [Viewed(number, 3, ("a",)) for number in range(came)]
    ends = as_a_run(plan, story, [False] * rounds)
    assert [number for _, number in ends if number is not None] == list(range(min(came, rounds)))


def test_one_event_ends_one_of_three_waits_in_a_row() -> None:
    plan = [For("a", "step", 10), For("b", "enrollment", 10), For("c", "step", 10)]
    assert as_a_run(plan, [Viewed(0, 3, ("a", "b", "c"))], [False] * 3) == [("a", 0), ("b", None), ("c", None)]


def test_a_later_wait_that_looks_back_asks_for_the_same_fact_again() -> None:
    plan: Plan = [For("a", "enrollment", 10), Pause(5), For("b", "enrollment", 10)]
    assert as_a_run(plan, [Viewed(0, 3, ("a", "b"))], [False] * 3) == [("a", 0), ("b", 0)]


def test_a_flood_for_one_step_pushes_out_nothing_that_another_waits_for() -> None:
    heard = ReceivedEvents((), frozenset({"noisy", "quiet"}))
    forgotten = heard.take(event("wanted"), NOON, ["quiet"])
    for number in range(KEPT * 5):
        forgotten += heard.take(event(f"e-{number}"), NOON, ["noisy"])
    found = heard.first("quiet", None, NOON, None)
    assert found is not None
    assert found.event.event_id == "wanted"
    assert forgotten == KEPT * 5 - KEPT_FOR_A_STEP
    latest = [one.event.event_id for one in heard.dump() if "noisy" in one.steps]
    assert latest == [f"e-{number}" for number in range(KEPT * 5 - KEPT_FOR_A_STEP, KEPT * 5)]


def test_what_is_kept_is_bounded_however_many_steps_hear_it() -> None:
    heard = ReceivedEvents((), frozenset())
    for number in range(KEPT * 3):
        heard.take(event(f"e-{number}"), NOON, [f"step-{number % 20}"])
    assert len(heard.dump()) == KEPT


def test_a_run_from_before_all_events_were_kept_goes_on_with_the_latest_of_each_step() -> None:
    first, second = event("first", 1), event("second", 2)
    matched, came = {"a": first, "b": second, "c": second}, {"a": minutes(1), "b": minutes(3)}
    assert from_latest(matched, came, first) == (
        HeardEvent(event=first, came=minutes(1), steps=("a",), ended_at=minutes(1)),
        HeardEvent(event=second, came=minutes(2), steps=("b", "c")),
    )
