"""A contact's score: against a slow second reading at any moment, with the moment at which the grade changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from math import fsum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audience.facts import Fact, Facts
from audience.scores.document import score_from_data
from audience.scores.evaluation import evaluate
from tracks.time.durations import parse_duration

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)
DAY, MICROSECOND = timedelta(days=1), timedelta(microseconds=1)
CONTACT = {"id": "ann", "attributes": {"plan": "team", "seats": 7}}
GRADES = {"cold": None, "warm": 10, "hot": {"enter": 25, "leave": 18}}

points = st.integers(-30, 30).filter(bool)
lasting = st.sampled_from([{"half_life": "3d"}, {"half_life": "8d"}, {"half_life": "never"}, {"within": "4d"}])
caps = st.none() | st.fixed_dictionaries({"most": st.integers(1, 2), "per": st.sampled_from(["1d", "5d"])})
events = st.tuples(
    lasting,
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(["order.paid", "email.clicked"]),
            "where": st.none() | st.just("event.properties.total > 20"),
            "cap": caps,
            "points": points,
        }
    ),
).map(lambda two: {key: value for key, value in {**two[0], **two[1]}.items() if value is not None})
whiles = st.fixed_dictionaries(
    {"while": st.fixed_dictionaries({"did_not": st.just("order.paid"), "within": st.just("6d")}), "points": points}
)
fits = st.fixed_dictionaries(
    {"when": st.sampled_from(['contact.attributes.plan == "team"', "contact.attributes.no == 1"]), "points": points}
)


def numbered(rules: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [{"id": f"{kind}-{number}", **rule} for number, rule in enumerate(rules)]


scores = st.builds(
    lambda fit, behaviour, margin: {
        "score": "any",
        "fit": numbered(fit, "fit"),
        "behaviour": numbered(behaviour, "event"),
        "grades": GRADES,
        "margin": margin,
    },
    st.lists(fits, max_size=2),
    st.lists(events | whiles, min_size=1, max_size=4),
    st.sampled_from([0, 5]),
)
facts_of_anybody = st.lists(
    st.tuples(
        st.sampled_from(["order.paid", "email.clicked"]),
        st.integers(-8 * 24, 2 * 24),
        st.sampled_from([10, 30]),
        st.sampled_from(["human", "human", "scanner"]),
    ),
    max_size=8,
).map(
    lambda drawn: [
        Fact(f"e{number}", name, NOW + timedelta(hours=hours), {"total": total, "by": by})
        for number, (name, hours, total, by) in enumerate(drawn)
    ]
)
grades = st.none() | st.sampled_from(["cold", "warm", "hot"])


def slow_points(rule: Mapping[str, Any], facts: list[Fact], now: datetime) -> float:
    """The points of one rule, from the words of the language: a plain sum over all events."""
    if "when" in rule:
        return float(rule["points"]) if "plan" in rule["when"] else 0.0
    past = sorted((fact for fact in facts if fact.at <= now), key=lambda fact: (fact.at, fact.event_id))
    if "while" in rule:
        idle = all(now - fact.at >= timedelta(days=6) for fact in past if fact.name == "order.paid")
        return float(rule["points"]) if idle else 0.0
    given: list[datetime] = []
    for fact in past:
        person = fact.name == "order.paid" or fact.properties["by"] == "human"
        if fact.name != rule["event"] or not person or ("where" in rule and fact.properties["total"] <= 20):
            continue
        if "cap" in rule:
            lately = [at for at in given if fact.at - at < parse_duration(rule["cap"]["per"])]
            if len(lately) == rule["cap"]["most"]:
                continue
        given.append(fact.at)
    total = 0.0
    for at in given:
        age = (now - at) / DAY
        if "within" in rule:
            total += rule["points"] if age < 4 else 0
        elif rule["half_life"] == "never":
            total += rule["points"]
        else:
            total += rule["points"] / 2 ** (age / float(rule["half_life"].removesuffix("d")))
    return total


def slow_value(score: Mapping[str, Any], facts: list[Fact], now: datetime) -> float:
    return sum(slow_points(rule, facts, now) for rule in (*score["fit"], *score["behaviour"]))


def slow_grade(score: Mapping[str, Any], value: float, previous: str | None) -> str:
    names, enter, leave = ("cold", "warm", "hot"), (-1e9, 10, 25), (-1e9, 10 - score["margin"], 18)
    place = max(i for i in range(3) if value >= enter[i])
    if previous is not None:
        place = max(place, names.index(previous))
        while value < leave[place]:
            place -= 1
    return names[place]


def near_a_threshold(score: Mapping[str, Any], value: float) -> bool:
    return min(abs(value - threshold) for threshold in (10, 25, 10 - score["margin"], 18)) < 1e-9


@settings(max_examples=120)
@given(scores, facts_of_anybody, grades)
def test_a_score_is_what_the_words_say_and_it_is_known_when_its_grade_changes(
    data: dict[str, Any], facts: list[Fact], previous: str | None
) -> None:
    score, known = score_from_data(data), Facts(CONTACT, facts)
    answer = evaluate(score, known, NOW, previous)
    assert answer.value == pytest.approx(slow_value(data, facts, NOW), abs=1e-9)
    if not near_a_threshold(data, answer.value):
        assert answer.grade == slow_grade(data, slow_value(data, facts, NOW), previous)
    if answer.changes_at is not None:
        assert evaluate(score, known, answer.changes_at, answer.grade).grade != answer.grade
        just_before = answer.changes_at - MICROSECOND
        assert just_before <= NOW or evaluate(score, known, just_before, answer.grade).grade == answer.grade
    until = answer.changes_at or NOW + 300 * DAY
    moments = {NOW + hours * timedelta(hours=1) for hours in (*range(0, 200, 5), *range(200, 300 * 24, 300))}
    for moment in sorted(moment for moment in moments if moment < until):
        value = slow_value(data, facts, moment)
        assert slow_grade(data, value, answer.grade) == answer.grade or near_a_threshold(data, value), moment


@given(scores, facts_of_anybody, st.randoms(use_true_random=False))
def test_neither_the_order_of_arrival_nor_duplicates_change_a_score(
    data: dict[str, Any], facts: list[Fact], random: Any
) -> None:
    score = score_from_data(data)
    arrived = [*facts, *random.sample(facts, len(facts) // 2)]
    random.shuffle(arrived)
    assert evaluate(score, Facts(CONTACT, arrived), NOW) == evaluate(score, Facts(CONTACT, facts), NOW)


@given(scores, facts_of_anybody)
def test_the_explanation_sums_to_the_score_and_names_every_rule(data: dict[str, Any], facts: list[Fact]) -> None:
    answer = evaluate(score_from_data(data), Facts(CONTACT, facts), NOW)
    assert fsum(one.points for one in answer.explanation) == answer.value
    assert answer.fit + answer.behaviour == pytest.approx(answer.value, abs=1e-9)
    assert [one.rule for one in answer.explanation] == [rule["id"] for rule in (*data["fit"], *data["behaviour"])]
    for one, rule in zip(answer.explanation, (*data["fit"], *data["behaviour"]), strict=True):
        assert one.points == pytest.approx(slow_points(rule, facts, NOW), abs=1e-9)


def test_a_grade_falls_at_the_moment_that_was_told_without_any_event() -> None:
    score = score_from_data(
        {
            "score": "s",
            "behaviour": [{"id": "visit", "event": "visited", "points": 10, "half_life": "14d"}],
            "grades": {"cold": None, "warm": 8},
        }
    )
    known = Facts(CONTACT, [Fact("a", "visited", NOW, {}), Fact("b", "visited", NOW + 7 * DAY, {})])
    answer = evaluate(score, known, NOW + 14 * DAY)
    assert answer.value == pytest.approx(12.0711, abs=5e-5) and answer.grade == "warm"
    assert answer.changes_at is not None
    assert (answer.changes_at - NOW) / DAY == pytest.approx(22.3087, abs=5e-5)


def test_a_grade_rises_when_negative_points_have_worn_off() -> None:
    score = score_from_data(
        {
            "score": "s",
            "fit": [{"id": "team", "when": 'contact.attributes.plan == "team"', "points": 50}],
            "behaviour": [{"id": "left", "event": "contact.unsubscribed", "points": -40, "half_life": "10d"}],
            "grades": {"cold": None, "warm": 40},
        }
    )
    answer = evaluate(score, Facts(CONTACT, [Fact("e", "contact.unsubscribed", NOW, {})]), NOW)
    assert (answer.value, answer.grade, answer.changes_at) == (10, "cold", NOW + 20 * DAY)


def test_points_that_end_together_end_to_the_microsecond() -> None:
    score = score_from_data(
        {
            "score": "s",
            "behaviour": [{"id": "webinar", "event": "attended", "points": 10, "within": "90d"}],
            "grades": {"cold": None, "warm": 8},
        }
    )
    known = Facts(CONTACT, [Fact("e", "attended", NOW, {})])
    assert evaluate(score, known, NOW).changes_at == NOW + 90 * DAY
    assert evaluate(score, known, NOW + 90 * DAY - MICROSECOND).value == 10
    assert evaluate(score, known, NOW + 90 * DAY).value == 0


def test_an_explanation_names_the_newest_facts_and_what_was_left_out() -> None:
    score = score_from_data(
        {
            "score": "s",
            "fit": [{"id": "big", "when": "contact.attributes.revenue > 5", "points": 50}],
            "behaviour": [
                {
                    "id": "click",
                    "event": "email.clicked",
                    "points": 2,
                    "within": "30d",
                    "cap": {"most": 1, "per": "1d"},
                },
                {"id": "idle", "while": {"last": "email.clicked", "before": "2d"}, "points": -5},
            ],
            "grades": {"cold": None, "warm": 40},
        }
    )
    by = ["scanner", "human", "human", "human", "human", "human"]
    facts = [Fact(f"e{n}", "email.clicked", NOW - (9 - n) * DAY, {"by": who}) for n, who in enumerate(by)]
    facts += [Fact("again", "email.clicked", NOW - 4 * DAY + timedelta(hours=1), {})]
    facts += [Fact("later", "email.clicked", NOW + DAY, {"by": "scanner"})]
    big, click, idle = evaluate(score, Facts(CONTACT, facts), NOW).explanation
    assert (big.points, big.why, big.count) == (0, "missing", None)
    assert (click.points, click.count, click.left_out) == (10, 5, {"cap": 1, "not a person": 1})
    assert [fact.event_id for fact in click.facts] == ["e3", "e4", "e5"]
    assert (idle.points, [fact.event_id for fact in idle.facts]) == (-5, ["again"])
