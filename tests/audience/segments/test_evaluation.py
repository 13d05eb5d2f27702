"""Membership of a segment: against a slow second reading, at any moment, with the moment at which it changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from tracks.time.durations import parse_duration

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAMES = ("app.used", "order.paid")
CONTACT = {"id": "ann", "attributes": {"plan": "team", "seats": 7}}

spans = st.sampled_from(["1d", "3d", "36h", "7d"])
wheres = st.none() | st.just("event.properties.total > 20")
counts = st.tuples(st.sampled_from([">=", "<=", "==", ">", "<"]), st.integers(1, 3)).map(
    lambda two: f"{two[0]} {two[1]}"
)


def leaf(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    parts = {kind: st.sampled_from(NAMES), "where": wheres, **more}
    return st.fixed_dictionaries(parts).map(lambda made: {k: v for k, v in made.items() if v is not None})


def ordered(made: dict[str, Any]) -> bool:
    spans_given = [parse_duration(made[key]) for key in ("before", "within") if key in made]
    return bool(spans_given) and spans_given == sorted(set(spans_given))


once = {"before": st.none() | spans, "within": st.none() | spans}
anything = st.recursive(
    st.sampled_from(
        ['contact.attributes.plan == "team"', "contact.attributes.seats > 10", "contact.attributes.no == 1"]
    )
    | leaf("did", times=counts, within=st.none() | spans)
    | leaf("did_not", within=st.none() | spans)
    | leaf("last", **once).filter(ordered)
    | leaf("first", **once).filter(ordered),
    lambda parts: (
        st.dictionaries(
            st.sampled_from(["all", "any"]), st.lists(parts, min_size=1, max_size=3), min_size=1, max_size=1
        )
        | st.fixed_dictionaries({"not": parts})
    ),
    max_leaves=5,
)
facts_of_anybody = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(-10 * 24, 2 * 24), st.sampled_from([10, 30])), max_size=8
).map(
    lambda drawn: [
        Fact(f"e{number}", name, NOW + timedelta(hours=hours), {"total": total})
        for number, (name, hours, total) in enumerate(drawn)
    ]
)


def slowly(members: Any, facts: list[Fact], now: datetime) -> bool:
    """The rule again, from the words of the language and not from its classes."""
    if isinstance(members, str):
        return {"plan": True, "seats": False, "no": False}[members.split(".")[2].split()[0]]
    if "all" in members:
        return all(slowly(part, facts, now) for part in members["all"])
    if "any" in members:
        return any(slowly(part, facts, now) for part in members["any"])
    if "not" in members:
        return not slowly(members["not"], facts, now)
    kind = next(key for key in ("did", "did_not", "last", "first") if key in members)
    past = [f.at for f in facts if f.name == members[kind] and f.at <= now]
    if "where" in members:
        past = [f.at for f in facts if f.name == members[kind] and f.at <= now and f.properties["total"] > 20]
    if kind in ("did", "did_not"):
        within = [at for at in past if "within" not in members or now - at < parse_duration(members["within"])]
        sign, number = members.get("times", ">= 1").split() if kind == "did" else ("==", "0")
        return bool(eval(f"{len(within)} {sign} {number}"))
    if not past:
        return False
    age = now - (max(past) if kind == "last" else min(past))
    return ("before" not in members or age >= parse_duration(members["before"])) and (
        "within" not in members or age < parse_duration(members["within"])
    )


@settings(max_examples=400, deadline=None)
@given(anything, facts_of_anybody)
def test_members_are_who_the_words_say_and_it_is_known_when_that_changes(members: Any, facts: list[Fact]) -> None:
    tree = segment_from_data({"segment": "any", "members": members}).members
    answer = evaluate(tree, Facts(CONTACT, facts), NOW)
    assert answer.member == slowly(members, facts, NOW)
    moments = sorted({NOW + timedelta(hours=hours) for hours in range(12 * 24)})
    changed = next((at for at in moments if slowly(members, facts, at) != answer.member), None)
    assert answer.changes_at == changed
    for at in moments[:: 24 * 2]:
        assert evaluate(tree, Facts(CONTACT, facts), at).member == slowly(members, facts, at)


def test_an_answer_has_the_facts_of_each_leaf() -> None:
    tree = segment_from_data(
        {
            "segment": "s",
            "members": {"all": ["contact.attributes.no == 1", {"did": "app.used", "times": ">= 2", "within": "7d"}]},
        }
    ).members
    facts = [Fact(f"e{n}", "app.used", NOW - n * DAY, {}) for n in range(9)]
    condition, did = evaluate(tree, Facts(CONTACT, facts), NOW).leaves
    assert (condition.holds, condition.why, condition.count) == (False, "missing", None)
    assert (did.holds, did.count, [fact.event_id for fact in did.facts]) == (True, 7, ["e2", "e1", "e0"])


@pytest.mark.parametrize(
    ("after", "member"), [(timedelta(0), True), (7 * DAY - timedelta(microseconds=1), True), (7 * DAY, False)]
)
def test_a_window_is_open_at_its_beginning(after: timedelta, member: bool) -> None:
    tree = segment_from_data({"segment": "s", "members": {"did": "app.used", "within": "7d"}}).members
    facts = Facts(CONTACT, [Fact("e", "app.used", NOW, {})])
    assert evaluate(tree, facts, NOW + after).member is member
    assert evaluate(tree, facts, NOW).changes_at == NOW + 7 * DAY


def test_who_never_did_it_did_not_do_it_either() -> None:
    tree = segment_from_data({"segment": "s", "members": {"did_not": "app.used", "within": "14d"}}).members
    assert evaluate(tree, Facts(CONTACT), NOW).member
    assert evaluate(tree, Facts(CONTACT), NOW).changes_at is None
