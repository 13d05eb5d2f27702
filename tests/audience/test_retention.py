"""What segments, scores and exclusions read is kept: deleting what nobody needs changes no answer."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.retention import Need, needs_of_exclusions, needs_of_members, needs_of_score, unmet
from audience.scores import evaluation as of_scores
from audience.scores.document import score_from_data
from audience.segments.document import segment_from_data, tree_of
from audience.segments.evaluation import evaluate
from tests.audience.scores.test_evaluation import CONTACT as SCORED
from tests.audience.scores.test_evaluation import scores
from tests.audience.segments.any_segment import CONTACT, NOW, anything, facts_of_anybody

DAY = timedelta(days=1)


def left_over(facts: list[Fact], needs: list[Need], now: datetime) -> list[Fact]:
    """What is left if each name is kept for just as long as it is needed, and no longer."""
    kept: dict[str, timedelta] = defaultdict(timedelta)
    for need in needs:
        kept[need.event] = max(kept[need.event], timedelta.max if need.within is None else need.within)
    return [fact for fact in facts if now - fact.at <= kept[fact.name]]


@settings(max_examples=150, deadline=None)
@given(anything, facts_of_anybody, st.integers(0, 12))
def test_a_segment_gives_the_same_answer_without_the_events_that_it_does_not_need(
    members: Any, facts: list[Fact], days: int
) -> None:
    tree, now = segment_from_data({"segment": "any", "members": members}).members, NOW + days * DAY
    few = left_over(facts, list(needs_of_members(tree)), now)
    whole, rest = (evaluate(tree, Facts(CONTACT, events), now) for events in (facts, few))
    assert (rest.member, rest.changes_at) == (whole.member, whole.changes_at)


behaved = st.lists(
    st.tuples(st.sampled_from(["order.paid", "email.clicked"]), st.integers(0, 120), st.sampled_from([10, 30])),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(scores, behaved)
def test_a_score_is_the_same_to_a_millionth_without_the_events_that_it_does_not_need(
    data: dict[str, Any], drawn: list[tuple[str, int, int]]
) -> None:
    score = score_from_data(data)
    facts = [Fact(f"e{n}", name, NOW - days * DAY, {"total": total}) for n, (name, days, total) in enumerate(drawn)]
    few = left_over(facts, list(needs_of_score(score)), NOW)
    whole, rest = (of_scores.evaluate(score, Facts(SCORED, events), NOW, None) for events in (facts, few))
    assert rest.value == pytest.approx(whole.value, abs=1e-6)


@pytest.mark.parametrize(
    ("leaf", "needed"),
    [
        ({"did": "x", "times": ">= 3", "within": "7d"}, 7 * DAY),
        ({"did": "x"}, None),
        ({"did_not": "x"}, None),
        ({"last": "x", "before": "10d", "within": "60d"}, 60 * DAY),
        ({"last": "x", "before": "10d"}, None),
        ({"first": "x", "within": "60d"}, None),
        ({"sum": "x.total", "is": "> 5", "within": "30d"}, 30 * DAY),
    ],
)
def test_a_leaf_needs_its_window_and_without_one_all_there_ever_was(leaf: Any, needed: timedelta | None) -> None:
    assert [need.within for need in needs_of_members(tree_of(leaf))] == [needed]


def test_who_is_left_alone_for_what_they_did_is_found_wherever_it_is_written() -> None:
    data = {
        "unless": [{"did": "order.paid", "within": "3d"}, 'contact.attributes.plan == "free"'],
        "entry": {"event": "cart.left", "unless": [{"event": "order.paid", "within": "10d"}]},
        "steps": [{"id": "hello", "email": {"unless": [{"event": "app.used", "within": "1h"}]}}],
    }
    assert sorted((need.event, need.within) for need in needs_of_exclusions(data)) == [
        ("app.used", timedelta(hours=1)),
        ("order.paid", 3 * DAY),
        ("order.paid", 10 * DAY),
    ]


def test_what_is_not_kept_so_long_is_told_with_both_times() -> None:
    needs = [Need("x", 100 * DAY, "did"), Need("x", None, "first"), Need("x", 90 * DAY, "did"), Need("y", None, "did")]
    kept = {"x": 90 * DAY, "y": timedelta.max}
    assert [words for _, words in unmet(needs, kept.__getitem__)] == [
        "did reads those of 100d, and events x are kept for 90d",
        "first reads all of them, and events x are kept for 90d",
    ]
