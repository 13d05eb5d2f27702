"""A track counts only clicks and opens of persons, unless a wait says otherwise."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tracks.examples import problems, track, with_steps
from tracks.compiler.compiler import compile_track
from tracks.runs.bot_engagement import By, heard

WAIT = "- id: w\n  wait_for: {event: %s, within: 1d%s}"


@pytest.mark.parametrize(
    ("written", "by"),
    [
        ("", ("human",)),
        (", by: any", ("human", "scanner", "prefetch")),
        (", by: scanner", ("scanner",)),
        (", by: [prefetch, human]", ("human", "prefetch")),
    ],
)
def test_a_wait_says_whom_it_counts(written: str, by: tuple[By, ...]) -> None:
    (interest,) = compile_track(track(WAIT % ("email.opened", written))).interests
    assert interest.by == by


def test_a_wait_for_what_machines_do_not_do_has_no_class() -> None:
    assert problems(with_steps(WAIT % ("order.completed", ", by: any"))) == [
        "t.yaml:7: step 'w': wait_for: has `by`, which only email.clicked, email.opened, sms.clicked can have"
    ]
    assert problems(with_steps(WAIT % ("sms.clicked", ", by: robot"))) == [
        "t.yaml:7: step 'w': by: 'robot' should be 'human', 'scanner' or 'prefetch'"
    ]


@pytest.mark.parametrize(
    ("event", "properties", "accepted", "counts"),
    [
        ("email.clicked", {}, ("human",), True),
        ("email.clicked", {"by": "human"}, ("human",), True),
        ("email.clicked", {"by": "scanner"}, ("human",), False),
        ("email.opened", {"by": "prefetch"}, ("human", "prefetch"), True),
        ("sms.clicked", {"by": ["human"]}, ("human",), False),
        ("order.completed", {"by": "card"}, ("human",), True),
    ],
)
def test_who_is_heard(event: str, properties: dict[str, Any], accepted: tuple[By, ...], counts: bool) -> None:
    assert heard(event, properties, accepted) is counts
