"""A track that may count fewer events than its author expects gets a warning, unless it states its intention."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tracks import counting_tracks
from tracks.checks.track_document import read_track_data
from tracks.shared.yaml_source import read_yaml

ENTRY = {"event": "price.viewed"}
WAIT = {"event": "price.viewed", "within": "7d"}


def rounds(*steps: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"id": "rounds", "repeat": {"times": 3, "steps": list(steps)}}]


def view(**more: Any) -> dict[str, Any]:
    return {"id": "view", "wait_for": WAIT | more}


NAP: dict[str, Any] = {"id": "nap", "wait": "1h"}
MARK: dict[str, Any] = {"id": "mark", "set": {"attributes": {"seen": True}}}


def warned(steps: list[dict[str, Any]], **head: Any) -> list[str]:
    read = read_track_data({"track": "a", "steps": steps} | head)
    assert not read.problems
    return [problem.message for problem in read.warnings()]


@pytest.mark.parametrize("steps", [[view()], [MARK, view()], rounds(view(), MARK)], ids=["alone", "later", "repeat"])
def test_a_wait_for_the_event_that_begins_the_run_is_worth_a_look(steps: list[dict[str, Any]]) -> None:
    [warning] = warned(steps, entry=ENTRY)
    assert "several 'price.viewed' are told together" in warning and "since: enrollment" in warning
    assert warned(steps, entry={"event": "signed.up"}) == []


@pytest.mark.parametrize(
    "steps",
    [
        rounds(view(), NAP),
        rounds(NAP, view()),
        rounds(view(then=[NAP])),
        rounds(view(), {"id": "nap", "wait_for": {"event": "price.shared", "within": "1h"}}),
        [{"id": "years", "repeat": {"times": 2, "steps": [NAP | {"id": "year"}, *rounds(view(), NAP)]}}],
    ],
    ids=["behind", "before", "within", "another-event", "nested"],
)
def test_a_round_that_waits_elsewhere_too_is_worth_a_look(steps: list[dict[str, Any]]) -> None:
    [warning] = [one for one in warned(steps) if "price.viewed" in one]
    assert "while a round waits at step 'nap' counts for no round" in warning


@pytest.mark.parametrize(
    "steps",
    [
        rounds(view(since="enrollment"), NAP),
        rounds(view(since="step"), NAP),
        rounds(view(), MARK),
        [NAP, *rounds(view())],
        rounds(view(**{"else": [NAP, {"id": "leave", "break": {}}]})),
        [NAP, view()],
        rounds({"id": "click", "wait_for": {"event": "email.clicked", "within": "2d"}}, NAP),
    ],
    ids=["counted", "not-meant", "no-time", "around", "leaves", "no-round", "about-a-message"],
)
def test_what_loses_nothing_or_says_what_it_means_passes(steps: list[dict[str, Any]]) -> None:
    assert warned(steps, entry={"event": "signed.up"}) == []


@pytest.mark.parametrize("name", [name for name in vars(counting_tracks) if name.isupper()])
def test_the_programmes_that_count_pass_and_without_a_look_back_do_not(name: str) -> None:
    written = getattr(counting_tracks, name)
    assert read_track_data(read_yaml(written).data).warnings() == []
    plain = written.replace("            since: enrollment\n", "").replace("since: enrollment, ", "")
    assert len(read_track_data(read_yaml(plain).data).warnings()) == 1
