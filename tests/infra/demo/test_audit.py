"""The audit finds every kind of broken law."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from infra.demo.audit import doubled, missed_entries, missed_goals, table
from infra.demo.behaviour import Act
from infra.demo.progress import SavedProgress
from infra.demo.sample_contacts import draw_people

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PEOPLE = draw_people(1, date(2026, 1, 31), 2)


def enrollment(**changes: Any) -> dict[str, Any]:
    return {
        "contact_id": PEOPLE[0].id,
        "track": "trial-to-paid",
        "key": None,
        "status": "active",
        "step": "welcome",
        "state": "waiting",
        "as_of": "run",
        "created_at": (NOW - timedelta(minutes=1)).isoformat(),
        "started_at": NOW.isoformat(),
        "ended_at": None,
        "goal_reached_at": None,
        "until_real": (NOW + timedelta(seconds=1)).isoformat(),
        "messages": [{"channel": "email", "status": "sent"}],
    } | changes


def email(tag: str, to: str = PEOPLE[0].email) -> dict[str, Any]:
    return {"to": to, "channel": "email", "tags": {"perennial-message": tag}}


def test_one_message_that_went_out_once_is_fine() -> None:
    assert doubled([enrollment()], [email("a")], PEOPLE) == []


def test_the_same_message_handed_over_twice_is_told() -> None:
    told = doubled([enrollment()], [email("a"), email("a")], PEOPLE)
    assert told[0] == "Message a was handed over 2 times."


def test_a_message_the_ledger_does_not_know_is_told() -> None:
    assert doubled([enrollment()], [email("a"), email("b")], PEOPLE) == [
        f"{PEOPLE[0].id} got 2 email messages where the ledger knows 1."
    ]


def test_a_message_that_never_arrived_is_told() -> None:
    assert doubled([enrollment()], [], PEOPLE) == [
        f"{PEOPLE[0].id} got 0 email messages of the 1 that the ledger calls sent."
    ]


def test_a_goal_that_reached_a_run_without_converting_it_is_told(tmp_path: Path) -> None:
    progress = SavedProgress(tmp_path / "crowd.json", 1, 86_400, 2)
    act = Act("demo-001/subscription.started", PEOPLE[0], 1, "event", "", {}, ("trial-to-paid", None))
    progress.mark(act.id, {"matched": 1, "enrolled": 0})
    assert len(missed_goals([enrollment()], progress, [act])) == 1
    assert missed_goals([enrollment(status="converted")], progress, [act]) == []
    assert missed_goals([enrollment(goal_reached_at=NOW.isoformat())], progress, [act]) == []
    progress.mark(act.id, {"matched": 0, "enrolled": 0})
    assert missed_goals([enrollment()], progress, [act]) == []


def test_a_contact_who_went_quiet_and_was_not_enrolled_is_told() -> None:
    act = Act(f"{PEOPLE[0].id}/last-session", PEOPLE[0], 0, "event", "", quiet_on=1.0)
    assert missed_entries([enrollment()], [act]) == []
    told = missed_entries([enrollment(track="win-back")], [act])
    assert told == [f"{PEOPLE[0].id} went quiet and was never enrolled in {PEOPLE[0].track}."]


def test_the_crowd_remembers_over_a_restart(tmp_path: Path) -> None:
    first = SavedProgress(tmp_path / "crowd.json", 1, 86_400, 2)
    first.mark("a", {"matched": 1})
    first.save()
    second = SavedProgress(tmp_path / "crowd.json", 2, 1, 60)
    assert second.continued
    assert second.done("a")
    assert (second.seed, second.pace, second.contacts, second.began) == (1, 86_400, 2, first.began)


def test_the_table_counts_per_track() -> None:
    skipped = enrollment(status="exited", messages=[{"channel": "sms", "status": "suppressed"}])
    line = table([enrollment(), skipped])["trial-to-paid"]
    assert (line.enrolled, dict(line.messages), dict(line.statuses)) == (2, {"email": 1}, {"active": 1, "exited": 1})
