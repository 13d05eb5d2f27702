"""When a condition holds, what is missing or unlike, and data that could hurt."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.conditions.condition_checks import MAX_LENGTH
from tracks.conditions.conditions import (
    MAX_DEPTH,
    MAX_TEXT,
    MAX_VALUES,
    ConditionError,
    TooDearError,
    check,
    evaluate,
    judge,
    judge_anew,
    judge_as_before,
)

ALL = ("contact", "event", "enrollment", "now")
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def context(**parts: Any) -> dict[str, Any]:
    return {
        "contact": {"id": "c", "has_phone": True, "attributes": {"role": "engineer", "score": 51, "tags": ["a", "b"]}},
        "event": {"event_id": "e", "name": "x", "at": NOW, "properties": {"plan": "team", "total": 12.5}},
        "enrollment": {"id": "n", "track": "t", "properties": {"cart_id": "k"}, "steps": {"by-role": "took"}},
        "now": NOW,
        **parts,
    }


@pytest.mark.parametrize(
    "expression",
    [
        'contact.attributes.role == "engineer"',
        'contact.attributes.role in ["engineer", "founder"]',
        "contact.attributes.score > 50.5",  # whole and decimal numbers compare
        "contact.has_phone && event.properties.total < 13",
        'has(contact.attributes.role) && contact.attributes.role.startsWith("eng")',
        "!has(event.properties.coupon)",
        'contact.attributes.tags.exists(tag, tag == "b")',
        'contact.attributes.role.matches("(?i)^ENGINEER$")',
        'enrollment.steps["by-role"] == "took"',
        'event.at < now || event.at == now',
        'timestamp("2026-06-01T00:00:00Z") + duration("240h") < now',
        "size(contact.attributes.tags) == 2",
        'contact.attributes.missing == 1 || contact.attributes.role == "engineer"',  # one side decides
    ],
)  # fmt: skip
def test_conditions_that_hold(expression: str) -> None:
    assert check(expression, ALL) == []
    assert evaluate(expression, context()) is True


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ('event.properties.coupon != "X"', "missing"),
        ('!(event.properties.coupon == "X")', "missing"),
        ("contact.attributes.tags[7] == 1", "missing"),
        ("contact.attributes.role > 3", "type"),
        ("contact.attributes.role.first.second == 1", "type"),
        ("timestamp(contact.attributes.role) < now", "type"),
        ("contact.attributes.score / 0 == 1", "type"),
        ("contact.attributes.role", "not a yes or no"),
        ("contact.attributes.score", "not a yes or no"),
        ('contact.attributes.role == "chef"', ""),
    ],
)
def test_what_is_missing_or_unlike_is_not_true_and_says_why(expression: str, why: str) -> None:
    assert check(expression, ALL) == []
    assert judge(expression, context()) == (False, why)


@pytest.mark.parametrize(
    "since",
    [
        "2026-06-01",
        " 2026-06-01 ",
        "2026-06-01T00:00:00",
        "2026-06-01T00:00",
        "2026-06-01 00:00:00.000",
        "2026-06-01 02:00:00+02",
        "2026-06-01T00:00:00Z",
        "2026-06-01T02:00:00+02:00",
    ],
)
def test_a_date_and_a_time_without_an_offset_are_of_utc(since: str) -> None:
    data = context(contact={"attributes": {"since": since}})
    for condition in (
        "timestamp(contact.attributes.since) == timestamp('2026-06-01T00:00:00Z')",
        "timestamp(contact.attributes.since) == timestamp('2026-06-01')",
        'now - timestamp(contact.attributes["since"]) == duration("348h")',
        "[contact.attributes.since].all(day, timestamp(day) > timestamp('2026-05-31T23:59:59Z'))",
    ):
        assert check(condition, ALL) == []
        assert judge(condition, data) == (True, "")


@pytest.mark.parametrize(
    "since",
    ["2026-02-30", "2026-06-01T25:00", "2026-6-1", "20260601", "01.06.2026", "2026-06", "yesterday", 5, None, True],
)
def test_what_is_no_date_is_no_moment_either(since: object) -> None:
    data = context(contact={"attributes": {"since": since}})
    assert judge("timestamp(contact.attributes.since) < now", data) == (False, "type")


def test_that_a_date_was_taken_is_said_for_runs_that_once_saw_it_fail() -> None:
    condition = "timestamp(contact.attributes.since) < now"
    dated = context(contact={"attributes": {"since": "2026-06-01"}})
    assert judge_anew(condition, dated) == ((True, ""), True)
    assert judge_as_before(condition, dated) == (False, "type")
    moment = context(contact={"attributes": {"since": "2026-06-01T00:00:00Z"}})
    assert judge_anew(condition, moment) == ((True, ""), False)


@pytest.mark.parametrize("name", ["contact", "event", "enrollment"])
def test_a_variable_that_is_not_there_is_empty_and_not_an_error(name: str) -> None:
    part = {"contact": "attributes", "event": "properties", "enrollment": "properties"}[name]
    absences: list[dict[str, Any]] = [{}, {name: None}, {name: {}}, {name: {part: None}}]
    for absent in absences:
        assert evaluate(f"!has({name}.{part}.x)", absent)
        assert not evaluate(f"{name}.{part}.x == 1", absent)
    assert judge("now > event.at", {}) == (False, "type")


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


@pytest.mark.parametrize(
    "properties",
    [
        {"list": list(range(MAX_VALUES + 1))},
        {"text": "x" * (MAX_TEXT + 1)},
        {"keys": {f"{number:0100}": 1 for number in range(MAX_TEXT // 100)}},
        deep(MAX_DEPTH),
        deep(100_000),
        {"set": {1, 2}},
    ],
    ids=["values", "text", "keys", "deep", "very deep", "no JSON"],
)
def test_data_that_could_hurt_is_refused_at_once(properties: Any) -> None:
    started = time.perf_counter()
    with pytest.raises(ConditionError):
        evaluate("true", {"event": {"properties": properties}})
    assert time.perf_counter() - started < 1


def test_the_longest_row_of_loops_over_the_largest_data_is_refused_at_once() -> None:
    loop = "event.properties.l.filter(x, x + x + x + x == 'y').size() == 1 || "
    expression = loop * (MAX_LENGTH // len(loop)) + "true"
    assert check(expression, ALL) == []
    items = ["z" * (MAX_TEXT // MAX_VALUES - 1)] * (MAX_VALUES - 100)
    started = time.process_time()
    with pytest.raises(TooDearError):
        evaluate(expression, {"event": {"properties": {"l": items}}})
    assert time.process_time() - started < 2


def test_an_expression_that_was_never_checked_raises_a_condition_error_only() -> None:
    with pytest.raises(ConditionError, match="not CEL"):
        evaluate("a ==", {})
    with pytest.raises(ConditionError, match="too long"):
        evaluate("true || " * 500 + "true", {})


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abcd"), inner, max_size=4),
    max_leaves=12,
)


@given(json, json, st.sampled_from([
    "event.properties.a > contact.attributes.b", "event.properties.a.b.exists(x, x == 1)", "event.properties.a",
    "size(event.properties.a) > 1", "timestamp(event.properties.a) < now", 'event.properties.a.matches("x")',
    "event.properties.a in contact.attributes.b", "int(event.properties.a) % 2 == 0", "-event.properties.a < 1",
    "event.properties.a[contact.attributes.a] == 1", "event.properties.a + contact.attributes.a == 3",
]))  # fmt: skip
def test_no_data_makes_a_condition_raise(a: Any, b: Any, expression: str) -> None:
    data = {"event": {"properties": {"a": a}}, "contact": {"attributes": {"a": b, "b": a}}, "now": NOW}
    assert evaluate(expression, data) in (True, False)
