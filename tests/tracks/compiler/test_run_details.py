"""The track's description in Temporal UI: the author's texts, bounded, without addresses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tracks.checks.track_document import parse_track, track_from_data
from tracks.compiler.run_details import LONGEST_DESCRIPTION, about

WIN_BACK = Path(__file__).parents[3] / "tracks" / "library" / "win-back.yaml"


def told(**words: Any) -> str | None:
    bare = {"track": "bare", "steps": [{"id": "pause", "wait": "1d"}]}
    return about(track_from_data(bare | words), 3)


def test_it_tells_the_name_the_purpose_the_owner_and_what_ends_it() -> None:
    assert about(parse_track(WIN_BACK.read_text(), "win-back"), 2) == "\n\n".join(
        [
            "**Win-back**, version 2",
            "Writes to an inactive contact in their own morning and hands what it learnt to a salesperson.",
            "Owner: success.",
            "Goal: the event `session.started`.",
            "Also ended by: `account.closed`, `contact.unsubscribed`.",
            "As it was published: `GET /v1/tracks/win-back?version=2`.",
        ]
    )


def test_a_track_that_says_nothing_of_these_costs_its_runs_nothing() -> None:
    assert told() is None
    assert told(description=" \n ") is None


def test_an_address_is_left_out_wherever_it_stands() -> None:
    words = {"name": "Ask ann@acme.test", "owner": "ann@acme.test", "description": "Questions: ann@acme.test"}
    assert told(**words) is None
    ended = told(**words, goal={"event": "bought"})
    assert ended is not None and ended.startswith("**bare**, version 3\n\nGoal: the event `bought`.")
    assert "@" not in ended


def test_a_long_description_is_cut() -> None:
    shown = told(description="word " * 900)
    assert shown is not None
    assert len(shown) < LONGEST_DESCRIPTION + 100
    assert "word…" in shown
