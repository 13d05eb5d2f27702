"""Aggregates of a property: exact in decimal, and what cannot be counted is told."""

from __future__ import annotations

import operator
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.segments.document import segment_from_data
from audience.segments.evaluation import LeafAnswer, evaluate
from audience.segments.members import events_of

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def ask(members: Any, *properties: Any) -> LeafAnswer:
    """The answer over purchases on as many days, the last one today."""
    tree = segment_from_data({"segment": "s", "members": members}).members
    facts = [
        Fact(f"e{number}", "order.paid", NOW - (len(properties) - 1 - number) * DAY, one)
        for number, one in enumerate(properties)
    ]
    (leaf,) = evaluate(tree, Facts({"id": "ann"}, facts), NOW).leaves
    return leaf


@pytest.mark.parametrize(
    ("written", "event", "properties"),
    [
        ({"sum": "order.paid.total"}, "order.paid", {"total": 7}),
        ({"sum": "paid.total"}, "paid", {"total": 7}),
        ({"sum": "total", "of": "order.paid"}, "order.paid", {"total": 7}),
        ({"sum": "cart.total", "of": "order.paid"}, "order.paid", {"cart": {"total": 7}}),
        ({"sum": "event.properties.cart.total", "of": "order.paid"}, "order.paid", {"cart": {"total": 7}}),
    ],
)
def test_the_last_dot_separates_the_property_unless_the_event_is_named_apart(
    written: dict[str, str], event: str, properties: dict[str, Any]
) -> None:
    tree = segment_from_data({"segment": "s", "members": {**written, "is": "== 7"}}).members
    assert events_of(tree) == {event}
    assert evaluate(tree, Facts({"id": "ann"}, [Fact("e", event, NOW, properties)]), NOW).member


@pytest.mark.parametrize(
    ("kind", "value"), [("sum", 60.6), ("average", 20.2), ("minimum", 10.1), ("maximum", 30.3), ("distinct", 3)]
)
def test_an_answer_has_the_value_the_newest_events_and_how_many_could_not_be_counted(kind: str, value: float) -> None:
    paid = [{"total": 10.1}, {"total": "20.20"}, {}, {"total": None}, {"total": [1]}, {"total": 30.3}]
    answer = ask({kind: "order.paid.total", "is": "> 1"}, *paid)
    assert (answer.value, answer.count, answer.left_out) == (value, 3, 3)
    assert [fact.event_id for fact in answer.facts] == ["e0", "e1", "e5"]
    recent = ask({kind: "order.paid.total", "is": "> 1", "within": "3d"}, *paid)
    assert (recent.count, recent.left_out) == (1, 2)


OPERATORS = {">=": operator.ge, "<=": operator.le, "==": operator.eq, ">": operator.gt, "<": operator.lt}
SLOWLY: dict[str, Callable[[list[int]], float]] = {
    "sum": sum,
    "average": fmean,
    "minimum": min,
    "maximum": max,
    "distinct": lambda found: len(set(found)),
}


@given(
    st.sampled_from(sorted(SLOWLY)),
    st.sampled_from(sorted(OPERATORS)),
    st.integers(1, 4),
    st.lists(st.integers(0, 4), min_size=1, max_size=6),
)
def test_a_comparison_is_with_the_value_itself(kind: str, sign: str, number: int, values: list[int]) -> None:
    answer = ask({kind: "order.paid.total", "is": f"{sign} {number}"}, *({"total": value} for value in values))
    assert answer.value == pytest.approx(SLOWLY[kind](values))
    assert answer.holds == OPERATORS[sign](SLOWLY[kind](values), number)


def test_numbers_are_added_in_decimal_whatever_their_order_and_size() -> None:
    assert ask({"sum": "order.paid.total", "is": "== 0.3"}, {"total": 0.1}, {"total": 0.2}).holds
    huge = ask({"sum": "order.paid.total", "is": "== 0.1"}, {"total": 1e300}, {"total": 0.1}, {"total": -1e300})
    assert huge.holds and huge.value == 0.1


@pytest.mark.parametrize(
    ("kind", "holds"), [("sum", True), ("distinct", True), ("average", False), ("minimum", False), ("maximum", False)]
)
def test_over_no_events_a_sum_is_nothing_and_an_average_is_not_there(kind: str, holds: bool) -> None:
    answer = ask({kind: "order.paid.total", "is": "< 1"})
    assert (answer.holds, answer.value) == (holds, 0 if holds else None)


def test_texts_numbers_and_truth_values_are_distinct() -> None:
    values = ["5", 5, 5.0, True, 1, "5", False, None, {"a": 1}]
    answer = ask({"distinct": "order.paid.sku", "is": "== 5"}, *({"sku": value} for value in values))
    assert (answer.holds, answer.value, answer.left_out) == (True, 5, 2)
