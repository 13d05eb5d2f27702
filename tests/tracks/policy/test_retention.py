"""How long events are kept, as the policy says it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tracks.policy.retention import FOREVER
from tracks.policy.workspace_policy import NO_POLICY, parse_policy, policy_from_data, policy_to_data
from tracks.shared.problems import TrackProblems

KEPT = "retention:\n  events: {default: 400d, names: {page.viewed: 90d, order.paid: forever}}\n"


def test_a_name_is_kept_as_it_says_and_every_other_as_the_default_says() -> None:
    events = parse_policy(KEPT).retention.events
    kept = [events.of(name) for name in ("page.viewed", "order.paid", "app.used")]
    assert kept == [timedelta(days=90), FOREVER, timedelta(days=400)]


def test_without_a_word_everything_is_kept() -> None:
    assert NO_POLICY.retention.events.of("page.viewed") == FOREVER
    assert not NO_POLICY.retention.events.deletes


def test_it_is_the_same_after_it_was_stored() -> None:
    policy = parse_policy(KEPT)
    data = policy_to_data(policy)
    assert data == {
        "retention": {"events": {"default": "400d", "names": {"page.viewed": "90d", "order.paid": "forever"}}}
    }
    assert policy_from_data(data) == policy


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("{default: 29d}", "is shorter than 30 days"),
        ("{names: {page.viewed: ever}}", "ever"),
        ("{names: {date.reached: 400d}}", "names date.reached, which is always kept"),
        ("{most: 400d}", "most"),
    ],
)
def test_a_mistake_is_told(written: str, message: str) -> None:
    with pytest.raises(TrackProblems, match=message):
        parse_policy(f"retention:\n  events: {written}\n")
