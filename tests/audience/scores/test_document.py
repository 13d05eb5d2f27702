"""A score's file: all mistakes at once, each with its line and with what would be right."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.scores.document import MAX_RULES, read_score, score_from_data
from audience.scores.grades import Grade
from audience.scores.rules import NEVER, EventRule, While
from audience.segments.members import DidNot
from tracks.time.durations import parse_duration

READINESS = """
score: sales-readiness
name: Sales readiness
owner: sales@acme.test
half_life: 14d
fit:
  - {id: team, when: contact.attributes.plan == "team", points: 20}
  - {id: rival, when: 'contact.attributes.company in ["rival.test"]', points: -100}
behaviour:
  - {id: pricing, event: page.viewed, where: event.properties.path == "/pricing", points: 10, cap: {most: 3, per: 1d}}
  - {id: webinar, event: webinar.attended, points: 15, within: 90d}
  - {id: customer, event: order.paid, points: 30, half_life: never, cap: {most: 1}}
  - {id: opened, event: email.opened, by: [human, prefetch], points: 0.5, half_life: 1w}
  - {id: idle, while: {did_not: app.used, within: 30d}, points: -15}
grades:
  hot: {enter: 60, leave: 50}
  cold:
  warm: 30
margin: 5
"""


def test_a_score_is_read_as_it_is_written() -> None:
    reading = read_score(READINESS, "sales-readiness.yaml")
    assert reading.problems == () and reading.score is not None
    score = reading.score
    assert (score.score, score.name, score.owner) == ("sales-readiness", "Sales readiness", "sales@acme.test")
    assert [(rule.id, rule.points) for rule in score.fit] == [("team", 20), ("rival", -100)]
    pricing, webinar, customer, opened, idle = score.behaviour
    assert isinstance(pricing, EventRule) and pricing.cap is not None
    assert (pricing.half_life, pricing.cap.most, pricing.cap.per) == (parse_duration("14d"), 3, parse_duration("1d"))
    assert isinstance(webinar, EventRule) and (webinar.half_life, webinar.within) == (None, parse_duration("90d"))
    assert isinstance(customer, EventRule) and customer.half_life == NEVER
    assert isinstance(opened, EventRule) and opened.by == ("human", "prefetch")
    assert idle == While("idle", DidNot(did_not="app.used", within=parse_duration("30d")), -15)


def test_grades_are_in_the_order_of_their_thresholds_and_a_margin_is_below_each() -> None:
    reading = read_score(READINESS, "s.yaml")
    assert reading.score is not None
    assert list(reading.score.grades.all) == [Grade("cold"), Grade("warm", 30, 25), Grade("hot", 60, 50)]


RULE = "{id: r, event: e, points: 1, half_life: 1d}"
FIT = [
    ("{id: a, when: contact.plan == 1, points: 1}", "contact has no 'plan'"),
    ("{id: a, when: 'contact.attributes.x == 1'}", "'points' is missing"),
    ("{when: 'contact.attributes.x == 1', points: 1}", "'id' is missing"),
    ("{id: a, when: 'contact.attributes.x == 1', points: 0}", "points: should be between -1,000 and 1,000, and not 0"),
    ("{id: a, when: 'contact.attributes.x == 1', points: '10'}", "points: should be a number, such as 10 or -20"),
    ("{id: a, when: 'contact.attributes.x == 1', points: true}", "points: should be a number"),
    ("{id: A B, when: 'contact.attributes.x == 1', points: 1}", "id: 'A B' should be lower-case letters"),
    ("contact.attributes.x == 1", "a rule is a mapping: id, points, and when in fit, or event in behaviour"),
    ("{id: a, when: 'contact.attributes.x == 1', point: 1, points: 1}", "unknown key 'point'; did you mean 'points'?"),
]
BEHAVIOUR = [
    (f"{RULE}, {RULE}", "id: 'r' is the id of another rule"),
    ("{id: a, event: e, points: 1}", "say how long its points last: half_life: 14d, half_life: never, or within: 90d"),
    ("{id: a, event: e, points: 1, half_life: 1d, within: 2d}", "has half_life and within"),
    ("{id: a, event: e, points: 1, half_life: always}", "half_life: 'always' is not a duration"),
    ("{id: a, event: e, points: 1, half_life: 14}", "half_life: needs a unit"),
    ("{id: a, event: e, points: 1, half_life: 1d, cap: {most: 0}}", "most: "),
    ("{id: a, event: e, points: 1, half_life: 1d, cap: {per: 1d}}", "'most' is missing: how many events score at most"),
    ("{id: a, event: e, points: 1, half_life: 1d, by: any}", "has `by`, which only email.clicked, "),
    ("{id: a, event: email.clicked, points: 1, half_life: 1d, by: robots}", "by: 'robots' should be 'human', "),
    ("{id: a, event: email.click, points: 1, half_life: 1d}", "did you mean 'email.clicked'?"),
    ("{id: a, event: e, points: 1, half_life: 1d, where: contact.id == 'x'}", "where: "),
    ("{id: a, event: e, while: {did: e}, points: 1}", "a rule of behaviour has event, or while"),
    ("{id: a, points: 1}", "a rule of behaviour has event, or while"),
    ("{id: a, while: {dit: e}, points: 1}", "unknown key 'dit'; did you mean 'did'?"),
    ("{id: a, while: {did: e}, points: 1, half_life: 1d}", "unknown key 'half_life'"),
    (
        "{id: a, while: {date: birthday, yearly: true, within: next 7d, leap_day: 1 mar}, points: 1}",
        "a score has no yearly dates",
    ),
]
GRADES = [
    ("{warm: 4, hot: 5}", "exactly one has no threshold, the lowest, such as `cold:`"),
    ("{cold: , warm: , hot: 5}", "exactly one has no threshold, the lowest, such as `cold:`; these have none: cold, "),
    ("{cold: }", "should be a mapping of 2 to 10 grades"),
    ("[cold, warm]", "should be a mapping of 2 to 10 grades"),
    ("{cold: , warm: '4'}", "warm: should be a number of points, such as 40"),
    ("{cold: , warm: {leave: 4}}", "'enter' is missing"),
    ("{cold: , warm: {enter: 4, leave: 5}}", "warm: is left below 5, which is above 4, where it is entered"),
    ("{cold: , warm: 4, hot: 4}", "hot: is entered at 4, as warm is"),
    ("{cold: , warm: {enter: 4, leave: 3}, hot: {enter: 9, leave: 2}}", "hot: is left below 2, but warm already below"),
    ("{cold: , Warm Hot: 4}", "grades: the name 'Warm Hot' should match"),
]


def whole(fit: str = "[]", behaviour: str = f"[{RULE}]", grades: str = "{cold: , warm: 4}") -> str:
    return f"score: s\nfit: {fit}\nbehaviour: {behaviour}\ngrades: {grades}\n"


CASES = [
    *((2, whole(fit=f"[{rule}]"), message) for rule, message in FIT),
    *((3, whole(behaviour=f"[{rules}]"), message) for rules, message in BEHAVIOUR),
    *((4, whole(grades=written), message) for written, message in GRADES),
    (2, whole(fit="{id: a}"), "fit: should be a list of rules, each with an id and points"),
    (5, whole() + "margin: -1", "margin: must not be negative"),
]


@pytest.mark.parametrize(("line", "text", "message"), CASES, ids=[message[:40] for _, _, message in CASES])
def test_a_mistake_is_told_with_what_would_be_right(line: int, text: str, message: str) -> None:
    reading = read_score(text, "s.yaml")
    assert reading.score is None
    (problem,) = reading.problems
    assert message in problem.message and problem.line == line


def test_a_score_without_rules_or_with_too_many_is_refused() -> None:
    assert "a score needs rules" in read_score(whole(behaviour="[]"), "s.yaml").problems[0].message
    many = ", ".join(f"{{id: r{n}, event: e, points: 1, within: 1d}}" for n in range(MAX_RULES + 1))
    assert "has 51 rules; at most 50" in read_score(whole(behaviour=f"[{many}]"), "s.yaml").problems[0].message


SEVERAL = """score: No Slug
colour: red
fit:
  - {id: a, when: contact.x, points: 1}
behaviour:
  - {id: a, event: e, points: 0}
  - {id: b, while: {did: e, times: 3}, points: 1}
grades:
  cold:
  warm: x
"""


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    problems = read_score(SEVERAL, "s.yaml").problems
    assert [problem.line for problem in problems] == [1, 2, 4, 6, 6, 6, 7, 10]
    assert any("'grades' is missing" in problem.message for problem in read_score("score: s", "s.yaml").problems)


KEYS = ["score", "fit", "behaviour", "grades", "id", "event", "while", "points", "cap", "most", "did", "cold", "margin"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(KEYS), part, max_size=4),
    max_leaves=10,
)


@given(anything, anything, anything, st.sampled_from(["14d", None]))
def test_no_data_breaks_the_reader(one: object, two: object, three: object, half_life: str | None) -> None:
    for data in (one, {"score": "s", "half_life": half_life, "fit": one, "behaviour": [two], "grades": three}):
        with suppress(ValueError):
            score_from_data(data)  # type: ignore[arg-type]
