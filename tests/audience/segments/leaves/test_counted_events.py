"""Of events about messages, a leaf counts those of a topic, a track and an origin."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

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
    fact = Fact("e1", "email.clicked", NOW, properties)
    for leaf, holds in (({"did": "email.clicked"}, counted), ({"did_not": "email.clicked"}, not counted)):
        tree = segment_from_data({"segment": "s", "members": {**leaf, **asked}}).members
        assert evaluate(tree, Facts({"id": "ann", "attributes": {}}, [fact]), NOW).member is holds
