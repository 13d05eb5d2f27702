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
    reads,
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


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ('now - event.at < duration("30d")', 'write duration("720h")'),
        ('now - event.at < duration("1w")', 'write duration("168h")'),
        ('now - event.at < duration("P30D")', 'write duration("720h")'),
        ('now - event.at < duration("a month")', "a duration in a condition has h, m and s"),
        ('int("x") == event.properties.n', 'int("x") can never be computed'),
        ("event.properties.n > 1/0", "1/0 can never be computed"),
        ("1 % 0 == 1 || contact.has_phone", "1 % 0 can never be computed"),
        ('timestamp("yesterday") < now', 'write timestamp("2026-03-01T09:00:00Z") or timestamp("2026-03-01")'),
        ('timestamp("2026-02-30") < now', "can never be computed"),
        ("[1, 2][5] == event.properties.n", "[1, 2][5] can never be computed"),
        ('{"a": 1}.b == event.properties.n', "can never be computed"),
        ('event.properties.l.exists(x, x == int("one"))', 'int("one") can never be computed'),
        ('contact.attributes.score >= "50"', "write 50 without quotes"),
        ('"50" < contact.attributes["score"]', "write 50 without quotes"),
        ('event.properties.l.exists(x, x.price > "9,5")', "write 9.5 without quotes"),
        ('enrollment.version == "3"', "compares a number with a text, which are never alike; write 3 without quotes"),
        ('size(contact.attributes.tags) > "2"', "write 2 without quotes"),
        ('now > "2026-01-01"', 'write timestamp("2026-01-01")'),
        ('contact.has_email == "true"', "write true without quotes"),
        ('now - event.at < "24h"', 'write duration("24h")'),
        (
            "contact.attributes.since < now",
            "data has dates and durations as texts; write timestamp(contact.attributes.since)",
        ),
        ('event.properties["due"] >= now', 'write timestamp(event.properties["due"])'),
        ('now - contact.attributes.since < duration("720h")', "write timestamp(contact.attributes.since)"),
        ('event.properties.at + duration("1h") > now', "write timestamp(event.properties.at)"),
        ("now - event.at > contact.attributes.span", "write duration(contact.attributes.span)"),
        ("contact.id == 5", "compares a text with a number"),
        ("now + 5 > now", "now + 5 can never be computed: a moment + a number"),
        ("size(contact.attributes.tags)", "it is a number; a condition has to be a yes or no"),
        ('"yes"', "it is a text"),
        ("bool(contact.attributes.vip)", "compare with true instead"),
        ('contains(contact.id, "x")', "`contains` is written as value.contains(…)"),
        ('now.getHours("Europe/Zurich") > 8', "`getHours` is written as value.getHours()"),
        ("contact.id.timestamp() < now", "`timestamp` is written as timestamp(…), with one value"),
    ],
)
def test_what_no_data_can_make_true_is_said_when_it_is_published(expression: str, complaint: str) -> None:
    assert complaint in "; ".join(check(expression, ALL))


@pytest.mark.parametrize(
    "expression",
    [
        'contact.attributes.zip == "8001"',  # may be stored as text
        'contact.attributes.since >= "2026-01-01"',  # texts can be compared in order
        'contact.attributes.grade > "b"',
        'string(contact.attributes.score) > "5"',
        'contact.timezone == null || contact.timezone != "UTC"',
        'double(contact.attributes.total) >= 50.0',
        'int("5") == contact.attributes.n && size("ab") == 2',
        "contact.attributes.vip",
        "true",
    ],
)  # fmt: skip
def test_what_some_data_can_make_true_is_left_alone(expression: str) -> None:
    assert check(expression, ALL) == []


@pytest.mark.parametrize("name", ["contact", "event", "enrollment"])
def test_a_variable_that_is_not_there_is_empty_and_not_an_error(name: str) -> None:
    part = {"contact": "attributes", "event": "properties", "enrollment": "properties"}[name]
    absences: list[dict[str, Any]] = [{}, {name: None}, {name: {}}, {name: {part: None}}]
    for absent in absences:
        assert evaluate(f"!has({name}.{part}.x)", absent)
        assert not evaluate(f"{name}.{part}.x == 1", absent)
    assert judge("now > event.at", {}) == (False, "type")


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ('contact.role == "x"', "did you mean contact.attributes.role?"),
        ("contact.atributes.role == 1", "did you mean contact.attributes?"),
        ("enrolment.id == 'x'", "did you mean 'enrollment'?"),
        ("a = 1", "write == instead of ="),
        ("now > event.at and true", "write && instead of 'and'"),
        ("not contact.has_phone", "write ! instead of 'not'"),
        ("contact.id == \u2018x\u2019", "straight quotes"),
        ("", "the condition is empty"),
        ("contact.id ==", "not CEL at character"),
        ("sizes(contact.id) == 1", "did you mean 'size'?"),
        ("cel.bind(x, 1, x == 1)", "unknown function 'bind'"),
        ("contact.attributes.tags.map(t, t + t) == []", "`map` is not allowed"),
        ("contact.attributes.a.all(x, contact.attributes.b.exists(y, y == x))", "`exists` inside `all`"),
        ("contact.attributes.tags.exists(contact, contact == 1)", "a loop's own name may not be 'contact'"),
        ('contact.id.matches("[")', "not a regular expression"),
        ("contact.id.matches(event.properties.p)", "one pattern, written out"),
        ('contact.id.matches("(a{20}){20}")', "one {n} of at most 20"),
        ('contact.attributes.tags.exists(t, t.matches("a"))', "may not stand inside a loop"),
        (".contact.id == 'x'", "do not start with a dot"),
        ("(" * 30 + "true" + ")" * 30, "nested 30 deep"),
        ("true" + " || true" * 200, "at most 1000 are allowed"),
    ],
)
def test_a_bad_condition_says_what_would_be_right(expression: str, complaint: str) -> None:
    assert complaint in "; ".join(check(expression, ALL))


def test_only_the_variables_of_the_place_can_be_read() -> None:
    assert check("enrollment.id == 'x'", ("contact", "event", "now")) == [
        "'enrollment' is not known here; this condition can use contact, event, now"
    ]


def test_all_problems_of_a_condition_are_told_at_once() -> None:
    assert len(check("foo(contact.rol) && bar(1) && x == 1", ALL)) == 4


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ('event.properties.plan != "enterprise"', {"event.properties.plan"}),
        ('event.properties["a b"] == contact . attributes\n. x', {"event.properties.a b", "contact.attributes.x"}),
        ("has(contact.attributes.a.b)", {"contact.attributes.a.b"}),
        ("contact.attributes.list.exists(x, x.y == now)", {"contact.attributes.list", "now"}),
        ("contact.attributes.name.size() > 2", {"contact.attributes.name"}),
        ('"contact.id" == "event" // enrollment.id', set()),
        ("event.properties[contact.id] == 1", {"event.properties", "contact.id"}),
        ("true || null == false", set()),
    ],
)
def test_what_a_condition_reads_is_known_without_running_it(expression: str, paths: set[str]) -> None:
    assert reads(expression) == paths


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


@given(st.text(alphabet="ab.()[]{}\"'!=<>&|? ,\\n0123456789exists has(contact.event)", max_size=60))
def test_no_text_makes_the_check_raise(expression: str) -> None:
    if check(expression, ALL) == []:
        judge(expression, context())
