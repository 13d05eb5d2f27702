"""Of events about messages, a leaf counts those of a topic, a track and an origin: a figure too."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
CLICK = {"by": "human", "topic": "news", "track": "trial"}


@pytest.mark.parametrize(
    ("asked", "properties", "counted"),
    [
        ({"by": "human"}, CLICK, True),
        ({"by": "human"}, {}, True),
        ({"by": "scanner"}, {}, False),
        ({"by": "human"}, {"by": "prefetch"}, False),
        ({"topic": "news", "track": "trial"}, CLICK, True),
        ({"topic": "news"}, {"topic": "offers"}, False),
        ({"track": "trial"}, {}, False),
        ({"by": "human", "where": "event.properties.link_number > 1"}, CLICK | {"link_number": 2}, True),
        ({"by": "human", "where": "event.properties.link_number > 1"}, CLICK | {"link_number": 1}, False),
    ],
)
def test_a_click_counts_if_all_that_is_asked_holds(
    asked: dict[str, Any], properties: dict[str, Any], counted: bool
) -> None:
    fact = Fact("e1", "email.clicked", NOW, {"message_id": "m1", "link_number": 1} | properties)
    leaves: list[tuple[dict[str, Any], bool]] = [
        ({"did": "email.clicked"}, counted),
        ({"did_not": "email.clicked"}, not counted),
        ({"last": "email.clicked", "within": "1d"}, counted),
        ({"first": "email.clicked", "within": "1d"}, counted),
        ({"distinct": "email.clicked.message_id", "is": "== 1"}, counted),
        ({"sum": "link_number", "of": "email.clicked", "is": "> 0"}, counted),
    ]
    for leaf, holds in leaves:
        tree = segment_from_data({"segment": "s", "members": {**leaf, **asked}}).members
        assert evaluate(tree, Facts({"id": "ann", "attributes": {}}, [fact]), NOW).member is holds


CLICKS = st.lists(
    st.fixed_dictionaries(
        {"link_number": st.integers(0, 3)},
        optional={
            "by": st.sampled_from(["human", "scanner", "prefetch"]),
            "topic": st.sampled_from(["news", "offers"]),
            "track": st.sampled_from(["trial", "upsell"]),
        },
    ),
    max_size=6,
)
ASKED = st.fixed_dictionaries(
    {},
    optional={
        "by": st.sampled_from(["human", "scanner", "prefetch"]),
        "topic": st.just("news"),
        "track": st.just("trial"),
    },
)


@given(CLICKS, ASKED, st.sampled_from(["sum", "average", "minimum", "maximum", "distinct"]))
def test_a_figure_over_asked_events_is_the_figure_over_those_events_alone(
    clicks: list[dict[str, Any]], asked: dict[str, str], kind: str
) -> None:
    def figure(events: list[dict[str, Any]], **more: str) -> tuple[bool, Any, int | None]:
        facts = [Fact(f"e{at}", "email.clicked", NOW, one) for at, one in enumerate(events)]
        members = {kind: "email.clicked.link_number", "is": ">= 2", **more}
        (leaf,) = evaluate(
            segment_from_data({"segment": "s", "members": members}).members, Facts({"id": "ann"}, facts), NOW
        ).leaves
        return leaf.holds, leaf.value, leaf.count

    those = [one for one in clicks if all({"by": "human", **one}.get(key) == value for key, value in asked.items())]
    assert figure(clicks, **asked) == figure(those)
