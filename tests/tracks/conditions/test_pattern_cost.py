"""What a regular expression may cost is known before it runs."""

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tracks.conditions.condition_costs import ALL, PER_UNIT, takes_less
from tracks.conditions import cost
from tracks.conditions.condition_checks import check
from tracks.conditions.conditions import MAX_TEXT
from tracks.conditions.syntax_tree import parse

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
    assert takes_less(condition, data, 0.02 + min(units, cost.MAX_COST) * PER_UNIT)


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
