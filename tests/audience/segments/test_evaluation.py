"""Membership of a segment: against a slow second reading, at any moment, with the moment at which it changes."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings

from audience.facts import Fact, Facts, Standing
from audience.segments.document import segment_from_data
from audience.segments.evaluation import evaluate
from audience.segments.leaves.aggregates import AGGREGATES
from audience.segments.members import standings_of
from tests.audience.segments.any_segment import (
    CONTACT,
    DAY,
    NOW,
    STANDINGS,
    ZONES,
    Stood,
    anything,
    contacts,
    facts_of_anybody,
    kind_of,
    standings_of_anybody,
)
from tracks.time.durations import parse_duration


@cache
def slow_day(zone: str | None, now: datetime) -> date:
    """The latest date that the clocks have shown there."""
    place = ZoneInfo(zone if zone in ZONES[1:4] else "UTC")
    return max((now - timedelta(hours=hours)).astimezone(place).date() for hours in range(3))


@cache
def moments_there(zone: str | None) -> list[datetime]:
    """Every third hour, which is when things happen here, and the hours with which a day begins."""
    hours = [NOW + timedelta(hours=hours) for hours in range(12 * 24)]
    begun = [at for at in hours if slow_day(zone, at) != slow_day(zone, at - timedelta(hours=1))]
    return sorted({*hours[::3], *begun})


def slow_date(leaf: dict[str, Any], contact: dict[str, Any], now: datetime) -> bool:
    today = slow_day(contact["timezone"], now)
    if leaf["date"] != "renewal":
        return False
    written = contact["attributes"]["renewal"]
    moment = datetime.fromisoformat(written)
    zone = contact["timezone"] if contact["timezone"] in ZONES[1:4] else "UTC"
    day = (moment if moment.tzinfo is None else moment.astimezone(ZoneInfo(zone))).date()
    if "within" in leaf:
        direction, number = leaf["within"].removesuffix("d").split()
        around = [today + (step if direction == "next" else -step) * DAY for step in range(int(number) + 1)]
        if "yearly" in leaf:  # no 29 February is near
            return any((one.month, one.day) == (day.month, day.day) for one in around)
        return day in around

    def meant(written: str) -> date:
        if written == "today":
            return today
        if written.startswith("in "):
            return today + int(written[3:-1]) * DAY
        return today - int(written[:-5]) * DAY if written.endswith("ago") else date.fromisoformat(written)

    return ("before" not in leaf or day < meant(leaf["before"])) and ("after" not in leaf or day > meant(leaf["after"]))


COMPUTED: dict[str, Callable[[list[float]], float]] = {
    "sum": sum,
    "average": statistics.fmean,
    "minimum": min,
    "maximum": max,
}


def slow_aggregate(leaf: dict[str, Any], kind: str, facts: list[Fact], now: datetime) -> bool:
    event = leaf.get("of") or leaf[kind].removesuffix(".total")
    counted = [fact for fact in facts if fact.name == event and fact.at <= now and ("where" not in leaf or dear(fact))]
    if "within" in leaf:
        counted = [fact for fact in counted if now - fact.at < parse_duration(leaf["within"])]
    inside = [fact.properties.get("total") for fact in counted]
    sign, number = leaf["is"].split()
    if kind == "distinct":
        found: Any = len(
            {(type(one) in (int, float), one) if one is not True else "true" for one in inside if one is not None}
        )
    else:
        numbers = [float(one) for one in inside if one not in (None, "many") and one is not True]
        if not numbers and kind != "sum":
            return False
        found = COMPUTED[kind](numbers)
    return bool(eval(f"{found} {sign} {number}"))


def slow_standing(leaf: dict[str, Any], stood: Stood, now: datetime) -> bool:
    kind = next(kind for kind in STANDINGS if kind in leaf)
    begun = [(begin, end) for begin, end in stood.get(kind, []) if begin <= now]
    if "within" in leaf:
        return any(now - begin < parse_duration(leaf["within"]) for begin, _ in begun)
    return any(end is None or now < end for _, end in begun)


def slowly(members: Any, contact: dict[str, Any], facts: list[Fact], stood: Stood, now: datetime) -> bool:
    """The rule again, from the words of the language and not from its classes."""
    if isinstance(members, str):
        return {"plan": True, "seats": False, "no": False}[members.split(".")[2].split()[0]]
    if "all" in members:
        return all(slowly(part, contact, facts, stood, now) for part in members["all"])
    if "any" in members:
        return any(slowly(part, contact, facts, stood, now) for part in members["any"])
    if "not" in members:
        return not slowly(members["not"], contact, facts, stood, now)
    if any(kind in members for kind in STANDINGS):
        return slow_standing(members, stood, now)
    if "date" in members:
        return slow_date(members, contact, now)
    if kind := next((key for key in AGGREGATES if key in members), None):
        return slow_aggregate(members, kind, facts, now)
    kind = next(key for key in ("did", "did_not", "last", "first") if key in members)
    past = [f.at for f in facts if f.name == members[kind] and f.at <= now and ("where" not in members or dear(f))]
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


def dear(fact: Fact) -> bool:
    """The condition `event.properties.total > 20`: a text is no number there."""
    total = fact.properties.get("total", 0)
    return isinstance(total, int | float) and total is not True and total > 20


@settings(max_examples=150, deadline=None)
@given(anything, contacts, facts_of_anybody, standings_of_anybody)
def test_members_are_who_the_words_say_and_it_is_known_when_that_changes(
    members: Any, contact: dict[str, Any], facts: list[Fact], stood: Stood
) -> None:
    tree = segment_from_data({"segment": "any", "members": members}).members
    known = {leaf: Standing(stood.get(kind_of(leaf), [])) for leaf in standings_of(tree)}
    told = Facts(contact, facts, standings=known)
    answer = evaluate(tree, told, NOW)
    assert answer.member == slowly(members, contact, facts, stood, NOW)
    moments = moments_there(contact["timezone"])
    changed = next((at for at in moments if slowly(members, contact, facts, stood, at) != answer.member), None)
    if changed is None and "yearly" in str(members) and answer.changes_at is not None:
        assert answer.changes_at > moments[-1]
        assert slowly(members, contact, facts, stood, answer.changes_at) != answer.member
        assert slowly(members, contact, facts, stood, answer.changes_at - timedelta(microseconds=1)) == answer.member
    else:
        assert answer.changes_at == changed
    for at in moments[::20]:
        assert evaluate(tree, told, at).member == slowly(members, contact, facts, stood, at)


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
