"""The cost of a condition is known before it runs, for every function, operator and loop of the library."""

import random
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.metadata import distribution
from typing import Any

import cel
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tracks.conditions import cost
from tracks.conditions.condition_checks import FUNCTIONS, LOOPS, METHODS, PLAIN_DATA, check
from tracks.conditions.conditions import MAX_TEXT, MAX_VALUES, ConditionError, TooDearError, evaluate, judge_as_before
from tracks.conditions.expressions import MACROS
from tracks.conditions.syntax_tree import SyntaxUnknownError, parse

ALL = ("contact", "event", "enrollment", "now")
SLOW = 0.5
"""Upper limit in seconds of CPU: many times the budget, because the machine may be busy."""
PER_UNIT = 150e-9
"""Upper limit in seconds of CPU for one unit, with the same margin: 20e-9 was measured."""
CONVERTED = 0.15
"""Upper limit in seconds of CPU to convert the largest accepted data, with the same margin: 0.005 was measured."""

SAMPLES: tuple[Any, ...] = (
    *("abc", [1, 2], {"a": 1}, 5, 1.5, True),
    *("2026-01-01T00:00:00Z", "1h", datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)),
)


def seconds(expression: str, data: dict[str, Any]) -> float:
    best = 9.0
    for _ in range(2):
        started = time.process_time()
        try:
            evaluate(expression, data)
        except ConditionError:
            pass
        best = min(best, time.process_time() - started)
    return best


def offered() -> Iterator[tuple[str, str]]:
    """Every word in the library's files that is one of its functions, methods or loops, as it is written."""
    words: set[str] = set()
    for file in distribution("common-expression-language").files or ():
        if str(file).endswith((".py", ".pyi", ".md", "METADATA")):
            words |= set(re.findall(r"[A-Za-z_]\w+", file.locate().read_text(), re.ASCII))  # type: ignore[attr-defined]
    for word in sorted(words | FUNCTIONS | METHODS.keys() | MACROS):
        for shape in (
            f"{word}(x)",
            f"optional.{word}(x)",
            f"x.{word}()",
            f"x.{word}(y)",
            f"x.{word}(i, true)",
            f"x.{word}(i, true, i)",
        ):
            try:
                program = cel.compile(shape)
            except ValueError:
                continue
            for x in SAMPLES:
                try:
                    program.execute({"x": x, "y": x})
                except RuntimeError as error:
                    if any(f"'{name}'" in str(error) for name in (word, "i", "optional")):
                        continue
                except Exception:  # it exists, but refuses these arguments
                    pass
                yield shape.partition("(")[0].removeprefix("x."), shape
                break


OFFERED = sorted(set(offered()))


def test_the_functions_of_the_library_are_found() -> None:
    names = {name for name, _ in OFFERED}
    assert names >= FUNCTIONS | METHODS.keys() | MACROS | {"type", "dyn", "bytes", "value", "optional.of"}


@pytest.mark.parametrize(("name", "shape"), OFFERED, ids=[shape for _, shape in OFFERED])
def test_whatever_the_library_offers_is_refused_or_within_the_budget(name: str, shape: str) -> None:
    places = {
        "a list": (r"\bx\b", "event.properties.l"),
        "in a loop": (r"\bx\b", "each"),
        "a list in a loop": (r"\bx\b", "event.properties.l"),
        "a text": (r"\bx\b", "event.properties.s"),
    }
    for place, (what, there) in places.items():
        inner = re.sub(r"\by\b", there, re.sub(what, there, shape))
        expression = f"event.properties.l.all(each, {inner} == 1 || true)" if "loop" in place else f"{inner} == 1"
        if check(expression, ALL):
            continue
        for data in (LARGE_LIST, LARGE_TEXT, LINES, DATES):
            assert seconds(expression, data) < SLOW, place


@pytest.mark.parametrize("name", sorted(MACROS))
def test_every_loop_of_the_library_is_read_as_one(name: str) -> None:
    nodes = parse(f"x.{name}(i, i > 1)")
    assert nodes[-1].kind == "loop"
    assert name in LOOPS or check(f"event.properties.l.{name}(i, i > 1) == []", ALL)


LARGE_LIST = {"event": {"properties": {"l": list(range(MAX_VALUES - 10)), "s": "ab"}}}
LARGE_TEXT = {"event": {"properties": {"l": ["z" * 9] * 4_990, "s": "z" * (MAX_TEXT // 2)}}}
DATES = {"event": {"properties": {"l": ["2026-01-01"] * 4_900, "s": "2026-01-01"}}, "now": SAMPLES[-2]}
LINES = {
    "event": {
        "properties": {"l": [{"sku": f"x{number}", "price": 200, "qty": 1} for number in range(1_200)], "s": "ab" * 900}
    }
}


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
        assert seconds(expression, data) < SLOW
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


names = st.sampled_from(
    [
        "event.properties.l",
        "event.properties.s",
        "event.properties.m",
        "event.properties.n",
        'contact.attributes["l"]',
        "now",
        "event.at",
        "contact",
    ]
)
literals = st.sampled_from(
    ["1", "2.5", '"a"', '"zzz"', "true", "null", "[1, 2]", "{'a': 1}", 'duration("1h")', 'timestamp("2026-01-01")']
)
patterns = st.sampled_from(["a", "^[A-Z]+$", "(a|b)*a(a|b){20}c", "\\\\w{20}", "(?i)x", "(?s).*z.{20}c", "\\\\pL+"])


def expressions(variables: st.SearchStrategy[str], loops: bool = True) -> st.SearchStrategy[str]:
    """Expressions of every function, method, operator and loop."""

    def grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        operators = st.sampled_from(["||", "&&", "==", "!=", "<", "<=", ">", ">=", "in", "+", "-", "*", "/", "%"])
        shapes = [
            st.tuples(inner, operators, inner).map(lambda p: f"({p[0]} {p[1]} {p[2]})"),
            st.tuples(st.sampled_from("!-"), inner).map(lambda p: f"{p[0]}{p[1]}"),
            st.tuples(inner, inner, inner).map(lambda p: f"({p[0]} ? {p[1]} : {p[2]})"),
            st.tuples(inner, inner).map(lambda p: f"{p[0]}[{p[1]}]"),
            inner.map(lambda p: f"{p}.a"),
            inner.map(lambda p: f"has({p}.a)"),
            st.lists(inner, max_size=3).map(lambda p: f"[{', '.join(p)}]"),
            st.tuples(inner, inner).map(lambda p: f"{{{p[0]}: {p[1]}}}"),
            st.tuples(st.sampled_from(sorted(FUNCTIONS)), inner).map(lambda p: f"{p[0]}({p[1]})"),
            st.tuples(inner, st.sampled_from([m for m, count in METHODS.items() if not count])).map(
                lambda p: f"{p[0]}.{p[1]}()"
            ),
            st.tuples(inner, st.sampled_from(["startsWith", "endsWith", "contains"]), inner).map(
                lambda p: f"{p[0]}.{p[1]}({p[2]})"
            ),
            st.tuples(inner, patterns).map(lambda p: f"{p[0]}.matches('{p[1]}')"),
        ]
        if loops:
            body = expressions(st.sampled_from(["each", "each.a", "event.properties.l", "event.properties.s"]), False)
            shapes.append(
                st.tuples(inner, st.sampled_from(sorted(LOOPS)), body).map(lambda p: f"{p[0]}.{p[1]}(each, {p[2]})")
            )
        return st.one_of(shapes)

    return st.recursive(variables | literals, grown, max_leaves=8)


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
            assert seconds(condition, data) < min(SLOW, CONVERTED + units * PER_UNIT)
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


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(expressions(names))
def test_the_library_and_this_reader_see_the_same_names_and_functions(expression: str) -> None:
    try:
        program = cel.compile(expression)
    except ValueError:  # `has` of something that is no field, or two operators that cannot be combined
        assert re.search(r"has\(|!-|-!", expression)
        return
    nodes = parse(expression)
    used, bound = ({node.name for node in nodes if node.kind == kind} for kind in ("name", "item"))
    assert used <= set(program.variables()) <= used | bound | {"@result"}
    called = {node.name for node in nodes if node.kind == "call"} - {"has"}
    assert called == {name for name in program.functions() if re.fullmatch(r"\w+", name) and name[0] != "_"}


TEXTS = [
    "".join(random.Random(7).choices(letters, k=MAX_TEXT // 2 - 1_000)) for letters in ("ab", "éa", "éax!世", "a", "é")
]
atoms = st.sampled_from(
    ["a", "b", "é", ".", "[ab]", "[^!]", "\\\\w", "\\\\W", "\\\\d", "\\\\s", "\\\\pL", "\\\\p{Lu}", "\\\\b", "[\\\\w.]"]
)
repeats = st.sampled_from(["", "", "*", "+", "?"])


@st.composite
def regular_expressions(draw: st.DrawFn) -> str:
    """Patterns of every kind of part, one of them repeated up to twenty times."""
    parts = draw(st.lists(st.tuples(atoms, repeats).map("".join), min_size=1, max_size=8))
    at = draw(st.integers(0, len(parts) - 1))
    group = draw(st.lists(st.tuples(atoms, repeats).map("".join), min_size=1, max_size=6))
    parts[at] += draw(st.sampled_from(["", f"({'|'.join(group)}){{20}}", f"(?:{''.join(group)}){{1,20}}", "a{20}"]))
    return (
        draw(st.sampled_from(["", "(?i)", "(?s)", "(?:a|b)*"])) + "".join(parts) + draw(st.sampled_from(["", "!", "$"]))
    )


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(regular_expressions(), st.sampled_from(TEXTS), st.sampled_from([100, 5_000, 50_000]))
def test_no_pattern_takes_longer_than_it_is_said_to(pattern: str, text: str, letters: int) -> None:
    condition = f"event.properties.s.matches('{pattern}')"
    if check(condition, ALL):
        return
    data = {"event": {"properties": {"s": text[:letters]}}}
    units = sum(cost.price(parse(condition), cost.of(data)))
    assert seconds(condition, data) < 0.02 + min(units, cost.MAX_COST) * PER_UNIT


@pytest.mark.parametrize(
    "pattern",
    [
        "^[A-Z]+$",
        "^\\\\w+ \\\\w+$",
        "^\\\\p{Lu}\\\\w{1,20}$",
        "(?i)^[a-z0-9.-]{1,20}(gmail|yahoo)\\\\.com$",
        "\\\\d{4}-\\\\d",
    ],
)
def test_patterns_as_people_write_them_are_published(pattern: str) -> None:
    assert check(f"contact.attributes.name.matches('{pattern}')", ALL) == []


parts_of_cel = [
    *("a", "b.c", "event", "(", ")", "[", "]", "{", "}", ",", ":", "?", "==", "!", "-", "+", "1", "1.5", ".5", "1e-3"),
    *("2u", "0x1F", '"s"', "'t'", 'r"\\d"', "b'x'", '"""q"""', "true", "null", " in ", "&&", "||", "<", ".size()"),
    *(".all(x, x)", ".map(x, x, x)", "has(a.b)", "// c\n", " ", "\n", "%", "*", ".`x-y`"),
]


@settings(max_examples=1_000, deadline=None)
@given(st.lists(st.sampled_from(parts_of_cel), max_size=7).map("".join))
@example("{,}.size()")
@example("[,]")
def test_whatever_the_library_reads_this_reader_reads_too(expression: str) -> None:
    try:
        program = cel.compile(expression)
    except ValueError:
        return
    if any(name.startswith(".") for name in program.variables()) or re.search(r"[\w\s]\{|(^|\W)\.\w", expression):
        return  # names that start with a dot, and messages: these could never be published or true
    parse(expression)


@given(st.text(alphabet="ab.()[]{}\"'!=<>&|? ,:-+*/%\\n0123456789ers in has(all", max_size=60))
def test_the_reader_knows_what_it_reads_or_says_that_it_does_not(expression: str) -> None:
    try:
        nodes = parse(expression)
    except SyntaxUnknownError:
        return
    assert nodes
    assert all(part < index for index, node in enumerate(nodes) for part in node.args)


def test_a_condition_published_before_is_bounded_too_and_its_old_verdict_can_still_be_had() -> None:
    condition = "event.properties.l" + ".filter(x,true)" * 30 + ".size() > 1"
    assert check(condition, ALL)  # publishing refuses it now
    assert evaluate(condition, lines(0) | {"event": {"properties": {"l": [1, 2, 3]}}}) is True
    with pytest.raises(TooDearError):
        evaluate(condition, LARGE_LIST)
    assert judge_as_before("event.properties.l.filter(x,true).size() > 1", LINES).holds
