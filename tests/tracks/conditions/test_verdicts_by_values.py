"""A verdict that is kept by the values which a condition reads is the one that the condition itself gives."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.tracks.conditions.condition_costs import expressions
from tracks.conditions import verdicts_by_values
from tracks.conditions.conditions import MAX_TEXT, ConditionError, judge
from tracks.conditions.verdicts_by_values import judge_by_values

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.sampled_from([0.0, -0.0, 1.0, 1.5, float("nan")]),
    st.text("ab", max_size=2),
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abls"), inner, max_size=3)
)
paths = st.sampled_from(
    [
        "event.properties.a",
        "event.properties.b",
        "event.properties.a.b",
        "event.properties['a']",
        "has(event.properties.a)",
        "has(event.properties.a.b)",
        "(event.properties.a)",
        "event",
        "event.properties",
        "[event][0].properties.a",
        "event.name",
    ]
)


def verdict(judged: Any, *given: Any) -> Any:
    try:
        return judged(*given)
    except ConditionError as error:
        return str(error)


@settings(max_examples=400)
@given(
    expressions(paths), st.lists(st.dictionaries(st.sampled_from("abls"), values, max_size=3), min_size=2, max_size=4)
)
def test_for_any_condition_and_any_data_it_is_the_same(condition: str, given_properties: list[dict[str, Any]]) -> None:
    for properties in given_properties * 2:
        event = {"name": "x", "properties": properties}
        assert verdict(judge_by_values, condition, "event", event) == verdict(judge, condition, {"event": event})


def test_the_same_value_is_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []

    def counting(condition: str, context: Any) -> Any:
        computed.append(context)
        return judge(condition, context)

    monkeypatch.setattr(verdicts_by_values, "judge", counting)
    monkeypatch.setattr(verdicts_by_values, "KEPT", 2)
    monkeypatch.setattr(verdicts_by_values, "_known", known := {})  # type: ignore[var-annotated]
    for number in range(6):
        contact = {"id": f"c{number}", "attributes": {"plan": "team" if number % 2 else "free", "n": number}}
        assert judge_by_values('contact.attributes.plan == "team"', "contact", contact).holds == bool(number % 2)
    assert len(computed) == 2
    judge_by_values('contact.attributes.plan == "team"', "contact", {"attributes": {"plan": "company"}})
    assert len(known) == 1  # full: it began anew


@pytest.mark.parametrize("large", ["x" * MAX_TEXT, {"a": ["x"] * 5_000}, {"a": {1, 2}}])
def test_data_that_a_condition_may_not_look_at_is_refused_also_where_its_value_is_known(large: Any) -> None:
    condition = 'contact.attributes.plan == "team"'
    assert judge_by_values(condition, "contact", {"attributes": {"plan": "team"}}).holds
    with pytest.raises(ConditionError):
        judge_by_values(condition, "contact", {"attributes": {"plan": "team", "more": large}})
