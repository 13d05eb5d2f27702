"""What tests measure and generate of conditions: seconds of CPU, the largest data, expressions of every kind."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from tracks.conditions.condition_checks import FUNCTIONS, LOOPS, METHODS
from tracks.conditions.conditions import MAX_TEXT, MAX_VALUES, ConditionError, evaluate

ALL = ("contact", "event", "enrollment", "now")
SLOW = 0.5
"""Upper limit in seconds of CPU: many times the budget, because the machine may be busy."""
PER_UNIT = 150e-9
"""Upper limit in seconds of CPU for one unit, with the same margin: 20e-9 was measured."""
SAMPLES: tuple[Any, ...] = (
    *("abc", [1, 2], {"a": 1}, 5, 1.5, True),
    *("2026-01-01T00:00:00Z", "1h", datetime(2026, 1, 1, tzinfo=UTC), timedelta(hours=1)),
)


def takes_less(expression: str, data: dict[str, Any], limit: float) -> bool:
    """Whether an evaluation takes less than `limit` seconds of CPU; the second attempt counts too."""
    return any(_seconds(expression, data) < limit for _ in range(2))


def _seconds(expression: str, data: dict[str, Any]) -> float:
    started = time.process_time()
    try:
        evaluate(expression, data)
    except ConditionError:
        pass
    return time.process_time() - started


LARGE_LIST = {"event": {"properties": {"l": list(range(MAX_VALUES - 10)), "s": "ab"}}}
LARGE_TEXT = {"event": {"properties": {"l": ["z" * 9] * 4_990, "s": "z" * (MAX_TEXT // 2)}}}
DATES = {"event": {"properties": {"l": ["2026-01-01"] * 4_900, "s": "2026-01-01"}}, "now": SAMPLES[-2]}
LINES = {
    "event": {
        "properties": {"l": [{"sku": f"x{number}", "price": 200, "qty": 1} for number in range(1_200)], "s": "ab" * 900}
    }
}
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
