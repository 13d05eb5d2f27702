"""A run's memory: dedupe, look-back, the path, and state that survives continue-as-new."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.runs.run_interface import EventSignal, RunState
from workflows.run.run_memory import NOTES_LIMIT, SEEN_LIMIT, Memory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(event_id: str, *matches: str, minutes: int = 0) -> EventSignal:
    return EventSignal(event_id=event_id, name="said", at=NOON + timedelta(minutes=minutes), matches=matches)


def test_the_first_exit_rule_that_an_event_matches_gives_the_reason() -> None:
    memory = Memory(RunState())
    memory.take_event(event("e-1", "exit:left", "exit:closed"), NOON)
    assert memory.ending == ("exited", "left")


def test_a_goal_wins_over_an_exit_rule_of_the_same_event_and_the_first_ending_stays() -> None:
    memory = Memory(RunState())
    memory.take_event(event("e-1", "exit:left", "goal"), NOON)
    memory.take_event(event("e-2", "exit:closed"), NOON)
    assert memory.ending == ("converted", "goal")


def test_an_event_out_of_order_does_not_hide_a_later_one() -> None:
    memory = Memory(RunState())
    memory.take_event(event("late", "step:reply", minutes=10), NOON)
    memory.take_event(event("early", "step:reply", minutes=1), NOON)
    found = memory.match_since("reply", NOON + timedelta(minutes=5))
    assert found is not None
    assert found.event_id == "late"


@pytest.mark.parametrize(
    ("happened", "came", "counts"),
    [
        (-3, 1, True),  # sent at once by a clock that is behind
        (-3, 0, True),
        (-3, -1, False),  # came before the wait began
        (-3, 3, False),  # took too long to arrive: it may have happened before the wait
        (-60, 1, False),
    ],
)
def test_what_came_at_once_counts_from_when_it_came(happened: int, came: int, counts: bool) -> None:
    memory = Memory(RunState())
    signal = EventSignal(event_id="e", name="said", at=NOON + timedelta(seconds=happened), matches=("step:reply",))
    memory.take_event(signal, NOON + timedelta(seconds=came))
    assert memory.match_since("reply", NOON) is None
    assert (memory.match_despite_clocks("reply", NOON) is not None) == counts


def test_only_what_was_reported_leaves_the_unreported_path() -> None:
    memory = Memory(RunState())
    memory.record("a", "email", "sent", NOON)
    given_to_activity = tuple(memory.unreported)
    memory.record("b", "wait", "done", NOON)
    memory.reported(given_to_activity)
    assert [entry.step for entry in memory.unreported] == ["b"]
    memory.reported(())
    assert [entry.seq for entry in memory.unreported] == [1]


def test_notes_and_seen_ids_are_bounded() -> None:
    memory = Memory(RunState())
    for number in range(SEEN_LIMIT * 2):
        assert memory.first_time(f"e-{number}")
        memory.note(str(number))
    state = memory.dump()
    assert len(state.seen) == SEEN_LIMIT
    assert len(state.notes) == NOTES_LIMIT
    assert not memory.first_time(f"e-{SEEN_LIMIT * 2 - 1}")


ids = st.sampled_from([f"e-{number}" for number in range(6)])
matches = st.sampled_from([("step:a",), ("step:b",), ("step:a", "step:b"), ("goal",), ("exit:left",)])


@given(st.lists(st.tuples(ids, matches, st.integers(-60, 60))), st.data())
def test_continuing_as_new_anywhere_remembers_the_same(
    story: list[tuple[str, tuple[str, ...], int]], data: st.DataObject
) -> None:
    signals = [event(event_id, *which, minutes=minutes) for event_id, which, minutes in story]
    whole, parted = Memory(RunState()), Memory(RunState())
    for signal in signals:
        whole.take_event(signal, NOON)
        parted.take_event(signal, NOON)
        if parted.ending is None and data.draw(st.booleans()):
            parted = Memory(RunState.model_validate_json(parted.dump().model_dump_json()))
    assert whole.dump() == parted.dump()
    assert whole.ending == parted.ending
