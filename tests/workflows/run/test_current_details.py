"""The current details in plain words."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tracks.runs.program import Program
from tracks.runs.run_interface import Journey, RunInput, RunState
from tracks.shared.run_clock import Clock
from workflows.run.current_details import describe
from workflows.run.run_memory import Memory

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def given(pace: float = 1.0) -> RunInput:
    return RunInput(
        enrollment_id="e",
        contact_id="user-1",
        track="trial",
        version=3,
        program=Program(code=()),
        clock=Clock(origin=NOON, pace=pace),
    )


def test_a_waiting_run_says_where_it_is_what_for_until_when_and_what_was_before() -> None:
    memory = Memory(RunState(sent={"email": 2, "sms": 1}, dropped={"duplicate": 1}))
    memory.record("hello", "email", "skipped", NOON, "suppressed: unsubscribed")
    journey = Journey(step="reply", state="waiting", waiting_for="`said`", until=NOON)
    assert describe(given(), memory, journey).split("\n\n") == [
        "**trial** version 3, contact `user-1`",
        "At step `reply`: **waiting**",
        "Waiting for `said`.",
        "Until 2026-03-01 12:00:00 UTC.",
        "Sent: 2 emails, 1 SMS.",
        "Ignored: 1 duplicate.",
        "- 2026-03-01 12:00 · `hello` skipped (suppressed: unsubscribed)",
    ]


def test_a_paced_run_says_so_and_when_it_really_wakes() -> None:
    journey = Journey(step="pause", state="waiting", until=datetime(2026, 3, 2, 12, tzinfo=UTC))
    words = describe(given(86_400), Memory(RunState()), journey)
    assert "Paced: 86400 seconds of the track pass in one." in words
    assert "Until 2026-03-02 12:00:00 UTC (really 2026-03-01 12:00:01 UTC)." in words


def test_what_is_said_of_time_is_true_at_any_later_moment() -> None:
    memory = Memory(RunState(began={"reply": NOON}))
    waiting = Journey(step="reply", state="waiting", until=datetime(2026, 3, 3, 15, 4, 5, tzinfo=UTC))
    words = describe(given(), memory, waiting)
    assert "Until 2026-03-03 15:04:05 UTC.\n\nThe step began 2026-03-01 12:00:00 UTC, 2d3h4m before that." in words
    review = describe(given(), memory, Journey(step="reply", state="needs_review"))
    assert "The step began 2026-03-01 12:00:00 UTC." in review
    paced = describe(given(86_400), memory, Journey(step="reply", state="waiting", until=NOON + timedelta(days=2)))
    assert "The step began 2026-03-01 12:00:00 UTC, 2d before that." in paced


def test_a_run_that_is_over_says_how_it_ended() -> None:
    assert "**converted**: goal" in describe(
        given(), Memory(RunState()), Journey(step=None, state="converted", waiting_for="goal")
    )
