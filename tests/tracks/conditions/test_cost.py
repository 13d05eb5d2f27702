"""What a condition can cost over any data is known before it runs, and what is too dear is refused."""

import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tracks.conditions.condition_costs import (
    ALL,
    DATES,
    LARGE_LIST,
    LARGE_TEXT,
    LINES,
    PER_UNIT,
    SLOW,
    expressions,
    names,
    takes_less,
)
from tracks.conditions import cost
from tracks.conditions.condition_checks import PLAIN_DATA, check
from tracks.conditions.conditions import TooDearError, evaluate, judge_as_before
from tracks.conditions.syntax_tree import parse

CONVERTED = 0.15
"""Upper limit in seconds of CPU to convert the largest accepted data, with the same margin: 0.005 was measured."""


@pytest.mark.parametrize(
    "expression",
    [
        # Attacks that would run for many seconds without the limit.
        "event.properties.l.filter(x,true).filter(x,true).filter(x,true).filter(x,true).size() > 99999",
        "event.properties.l.all(x, size(" + "+".join(["event.properties.s"] * 40) + ")>0)",
        "event.properties.l.all(x, size(" + "+".join(["event.properties.l"] * 35) + ")>0)",
        "event.properties.l" + ".filter(x,true)" * 60 + ".size() > 1",
        "event.properties.l.all(x, event.properties.l == event.properties.l)",
        "event.properties.l.all(x, x in event.properties.l)",
        "event.properties.l.filter(i, i.price > 100).size() > 2",
        "event.properties.l.all(x, " + " && ".join(["timestamp(x) < now"] * 8) + ")",  # read as a date in Python
        "[" + ", ".join(["timestamp(event.properties.l)"] * 14) + "] == []",
        "event.properties.l.exists(i, i == event.properties.limit)",  # a path in a loop is copied for each element
        "event.properties.s.matches('" + "(?:a|b|ab|ba)*a(?:a|b|ab|ba|aa|bb){20}c" + "')",
        " || ".join(["'x'.matches('\\\\w{20}')"] * 30),
    ],
)
def test_what_ran_away_is_refused_when_published_or_before_it_runs(expression: str) -> None:
    largest = (LARGE_LIST, LARGE_TEXT, LINES, DATES)
    for data in largest:
        assert takes_less(expression, data, SLOW)
    assert check(expression, ALL) or any(refused(expression, data) for data in largest)


def test_to_refuse_what_is_too_dear_costs_little_itself() -> None:
    """Each path of a condition is measured once, however often it occurs."""
    often = "event.properties.l.all(x, size(" + "+".join(["event.properties.l"] * 40) + ")>0)"
    once, many = (least_seconds_of(expression) for expression in ("size(event.properties.l) > 0", often))
    assert many < 3 * once + 0.02


def least_seconds_of(expression: str) -> float:
    """The time to compute its cost over much data."""
    nodes, best = parse(expression), 9.0
    for _ in range(5):
        began = time.process_time()
        cost.price(nodes, cost.of(LINES))
        best = min(best, time.process_time() - began)
    return best


def refused(expression: str, data: dict[str, Any]) -> bool:
    try:
        evaluate(expression, data)
    except TooDearError:
        return True
    return False


def lines(number: int) -> dict[str, Any]:
    return {"event": {"properties": {"items": [{"sku": "a", "price": 200} for _ in range(number)]}}}


def test_a_filter_over_a_basket_works_and_over_a_catalogue_is_refused() -> None:
    condition = "event.properties.items.filter(i, i.price > 100).size() > 2"
    assert check(condition, ALL) == []
    assert evaluate(condition, lines(200)) is True
    with pytest.raises(TooDearError):
        evaluate(condition, lines(1_600))
    assert evaluate("event.properties.items.exists(i, i.price > 100)", lines(1_600)) is True


def test_dates_in_a_list_are_compared_and_too_many_of_them_refused() -> None:
    condition = "event.properties.l.exists(x, timestamp(x) > now && timestamp(x) > timestamp(contact.attributes.since))"
    assert check(condition, ALL) == []
    contact = {"attributes": {"since": "2020-01-01"}}
    some = {"event": {"properties": {"l": ["2025-01-01"] * 300 + ["2026-01-02"]}}, "now": DATES["now"]}
    assert evaluate(condition, some | {"contact": contact}) is True
    with pytest.raises(TooDearError):
        evaluate(condition, DATES | {"contact": contact})


def test_a_condition_that_is_dear_over_little_is_refused_with_its_dearest_part() -> None:
    sum_of_many = "+".join(["event.properties.s"] * 40)
    (problem,) = check(f"event.properties.l.all(x, size({sum_of_many}) > 0)", ALL)
    assert f"over {PLAIN_DATA} values, and at most {cost.MAX_COST:,} are allowed" in problem
    assert "the dearest part is size(event.properties.s+event.properties.s" in problem


elements = st.sampled_from(
    [
        *(1, "z" * 15, {"a": 1}, {"a": "x" * 30, "price": 200}, [1, 2, 3], {"a": [1, 2, 3, {"a": 1}]}, None, True, 2.5),
        *("2026-01-01", "2026-01-01T00:00:00Z", {"a": "2026-01-01 09:00:00"}),
    ]
)


@st.composite
def shapes_of_data(draw: st.DrawFn) -> dict[str, Any]:
    """Data of any shape, much of it near what is accepted."""
    count = draw(st.sampled_from([0, 3, 100, 400, 1_000, 2_400, 4_900]))
    parts: dict[str, Any] = {
        "l": [draw(elements)] * count,
        "s": draw(st.sampled_from(["", "ab", "ab" * 600, "é" * 9_000, "ab" * 20_000])),
        "m": {f"key{number}": draw(elements) for number in range(draw(st.sampled_from([0, 3, 50])))},
        "n": draw(elements),
    }
    return {"event": {"properties": parts}, "contact": {"attributes": {"l": parts["l"][:50]}}}


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(names), shapes_of_data())
def test_no_condition_that_is_published_runs_away(expression: str, data: dict[str, Any]) -> None:
    for condition in (expression, f"{expression} == 1"):
        if check(condition, ALL):
            continue
        try:
            units = sum(cost.price(parse(condition), cost.of({**data, "enrollment": {}})))
            assert takes_less(condition, data, min(SLOW, CONVERTED + units * PER_UNIT))
        except TooDearError:
            assert units > cost.MAX_COST


PRICED = [
    (cost.of(data), cost.over(sum(cost.weigh(value) for value in data.values()) + 64))
    for data in (LARGE_LIST, LINES, DATES, lines(3), {})
]
"""The size of some data itself, and the limits for any data of this size."""


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(names))
def test_what_data_of_any_shape_may_cost_is_no_less_than_what_it_costs(expression: str) -> None:
    nodes = parse(expression)
    for data, bound in PRICED:
        assert sum(cost.price(nodes, data)) <= sum(cost.price(nodes, bound)) * 1.2 + 1_000


def test_a_condition_published_before_is_bounded_too_and_its_old_verdict_can_still_be_had() -> None:
    condition = "event.properties.l" + ".filter(x,true)" * 30 + ".size() > 1"
    assert check(condition, ALL)  # publishing refuses it now
    assert evaluate(condition, lines(0) | {"event": {"properties": {"l": [1, 2, 3]}}}) is True
    with pytest.raises(TooDearError):
        evaluate(condition, LARGE_LIST)
    assert judge_as_before("event.properties.l.filter(x,true).size() > 1", LINES).holds
