"""A segment's file: all mistakes at once, each with its line and with what would be right."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audience.segments.document import MAX_LEAVES, read_segment, segment_from_data
from audience.segments.leaves.comparisons import Times
from audience.segments.members import (
    All,
    AnyOf,
    Condition,
    Did,
    DidNot,
    First,
    Last,
    Not,
    events_of,
    leaves,
)
from tracks.time.durations import parse_duration

CHURN_RISK = """
segment: churn-risk
name: Churn risk
description: No use for two weeks, or a failed payment.
owner: growth@acme.test
members:
  all:
    - contact.attributes.plan != "free"
    - any:
        - {did_not: app.used, within: 14d}
        - {did: payment.failed, times: '>= 2', within: 7d, where: event.properties.amount > 20}
    - not: {last: order.paid, before: 60d}
    - {first: order.paid, within: 365d}
"""


def test_a_segment_is_read_as_it_is_written() -> None:
    reading = read_segment(CHURN_RISK, "churn-risk.yaml")
    assert reading.problems == () and reading.segment is not None
    segment = reading.segment
    assert (segment.segment, segment.name, segment.owner) == ("churn-risk", "Churn risk", "growth@acme.test")
    assert segment.members == All(
        (
            Condition('contact.attributes.plan != "free"'),
            AnyOf(
                (
                    DidNot(did_not="app.used", within=parse_duration("14d")),
                    Did(
                        did="payment.failed",
                        times=Times(">=", 2),
                        within=parse_duration("7d"),
                        where="event.properties.amount > 20",
                    ),
                )
            ),
            Not(Last(last="order.paid", before=parse_duration("60d"))),
            First(first="order.paid", within=parse_duration("365d")),
        )
    )
    assert events_of(segment.members) == {"app.used", "payment.failed", "order.paid"}
    assert len(list(leaves(segment.members))) == 5


MISTAKES = [
    ("contact.plan == 1", "contact has no 'plan'"),
    ("event.name == 'a'", "condition: "),
    ("contact.attributes.x == now", "condition: "),
    ("{did: a, times: 3}", "times: should be a comparison in quotes, such as '>= 3' or '== 1'; did you mean '>= 3'?"),
    ("{did: a, times: '>= 0'}", "times: '>= 0' is always true"),
    ("{did: a, times: '< 0'}", "times: '< 0' is never true"),
    ("{did: a, times: '>= 5000'}", "times: counts further than 1,000"),
    ("{did: a, within: 3}", "within: needs a unit, such as 90s, 15m, 36h, 2d or 1w; did you mean 3d?"),
    ("{did: a, where: contact.id == 'x'}", "where: "),
    ("{did: a, withn: 3d}", "unknown key 'withn'; did you mean 'within'?"),
    ("{last: a}", "needs before or within, such as before: 60d"),
    ("{last: a, before: 7d, within: 3d}", "can never be: before has to be shorter than within"),
    ("{sum: order.paid.total}", "'is' is missing: a comparison, such as '> 500'"),
    ("{sum: order.paid.total, is: 500}", "is: should be a comparison in quotes, such as '> 500' or '<= 9.90'; did you"),
    ("{sum: total, is: '> 500'}", "names no event: write sum: order.paid.total, or {sum: total, of: order.paid}"),
    ("{sum: event.properties.total, is: '> 500'}", "names no event: write sum: order.paid.total"),
    ("{average: order..total, is: '> 5'}", "average: 'order..total' should be the name of a property, such as total"),
    ("{distinct: order.paid.sku, is: '>= 0'}", "is: '>= 0' is always true up to 1,000"),
    ("{maximum: order.paid.total, is: '> 5', times: '> 1'}", "unknown key 'times'"),
    ("{date: renewal}", "needs within, such as within: next 30d, or before and after, such as before: today"),
    ("{date: renewal, within: 30d}", "within: should be days from today on, such as next 30d, or until today, such"),
    ("{date: renewal, within: next 999w}", "within: is further from today than 3,660 days"),
    ("{date: renewal, within: next 3d, before: today}", "needs within, such as within: next 30d, or before and after"),
    ("{date: renewal, before: 30d}", "before: should be a day, such as today, in 30d, 30d ago or 2027-01-31"),
    ("{date: renewal, after: today, before: in 1d}", "can never be: no day lies after the one and before the other"),
    ("{date: renewal, after: 2027-01-31, before: 2027-02-01}", "can never be: no day lies after the one and before"),
    ("{date: contact.attributes.renewal, before: today}", "date: is the name of an attribute: write renewal"),
    ("{date: born, yearly: true, within: next 3d}", "say when 29 February comes, leap_day: 28 feb or leap_day: 1 mar"),
    ("{date: born, yearly: true, leap_day: 1 mar, before: today}", "comes every year, before and after every day"),
    ("{date: born, yearly: true, leap_day: 1 mar, within: last 365d}", "within has to be shorter than 365d"),
    ("{date: born, leap_day: 1 mar, within: last 3d}", "has a leap_day, which is for dates that come every year"),
    (
        "{date: born, yearly: true, leap_day: feb 28, within: last 3d}",
        "leap_day: 'feb 28' should be '28 feb' or '1 mar'",
    ),
    ("{did: segment.entered}", "segments and scores cannot be about entering or leaving segments"),
    ("{sum: segment.left.version, is: '> 1'}", "segments and scores cannot be about entering or leaving segments"),
    ("contact.segments == [contact.id]", "segments and scores cannot read contact.segments"),
    ("{did: order.paid, by: human}", "by is for email.clicked, email.opened, sms.clicked; of order.paid it is not"),
    ("{did: a, topic: t, track: t}", "topic and track can only stand beside events about messages, such as"),
    ("{sum: order.paid.total, is: '> 1', by: human}", "by is for email.clicked, email.opened, sms.clicked; of order"),
    ("{distinct: a.b, is: '> 1', topic: t}", "topic can only stand beside events about messages, such as"),
    ("{did: email.opened, by: machine}", "by: 'machine' should be 'human', 'scanner' or 'prefetch'"),
    ("{in: Some Vip}", "in:"),
    ("{on: trial, within: 3d}", "unknown key 'within'"),
    ("{reachable: fax}", "reachable: 'fax' should be 'email' or 'sms'"),
    ("{consents: email, channel: sms}", "consents: email is a channel already, so channel cannot stand beside it"),
    ("{dit: a}", "unknown key 'dit'; did you mean 'did'?"),
    ("{did: a, did_not: b}", "has did and did_not: make them parts of all or any"),
    ("{all: [], }", "all: should be a list with at least one part"),
    ("{any: {did: a}}", "any: should be a list with at least one part"),
    ("{all: [{did: a}], within: 3d}", "'within' cannot stand beside 'all': make it a part of all or any"),
    (
        "7",
        "write a condition, such as contact.attributes.seats > 5, or one of did, did_not, last, first, sum, average, "
        "minimum, maximum, distinct, date, score, in, on, converted, consents, reachable, all, any, not",
    ),
    (
        "{all: [" + "{did: a}, " * (MAX_LEAVES + 1) + "]}",
        f"has {MAX_LEAVES + 1} leaves; at most {MAX_LEAVES} are allowed",
    ),
    ("{not: " * 9 + "{did: a}" + "}" * 9, "groups are nested more than 8 deep"),
]


@pytest.mark.parametrize(("members", "message"), MISTAKES, ids=[members[:30] for members, _ in MISTAKES])
def test_a_mistake_is_told_with_what_would_be_right(members: str, message: str) -> None:
    reading = read_segment(f"segment: s\nmembers: {members}", "s.yaml")
    assert reading.segment is None
    (problem,) = reading.problems
    assert message in problem.message and problem.line == 2


@pytest.mark.parametrize(
    "written",
    [
        {"sum": "order.paid.total", "is": "> 499.90", "within": "3d"},
        {"distinct": "cart.sku", "of": "order.paid", "is": "== 2", "where": "event.name != 'a'"},
        {"date": "born", "within": "last 9d", "yearly": True, "leap_day": "1 mar"},
        {"date": "due", "before": "30d ago", "after": "2026-01-01"},
        {"date": "due", "before": "in 2d", "after": "today", "date_only": True},
    ],
    ids=str,
)
def test_a_leaf_can_be_shown_as_it_was_written(written: dict[str, object]) -> None:
    (leaf,) = leaves(segment_from_data({"segment": "s", "members": written}).members)
    assert not isinstance(leaf, Condition)
    assert leaf.model_dump(mode="json", exclude_defaults=True) == written


SEVERAL = """segment: No Slug
colour: red
members:
  any:
    - {did: a, times: 3}
    - {not: {first: b}}
    - contact.x
"""


def test_all_mistakes_are_told_at_once_with_their_lines() -> None:
    assert [problem.line for problem in read_segment(SEVERAL, "s.yaml").problems] == [1, 2, 5, 6, 7]
    assert "'members' is missing" in read_segment("segment: s", "s.yaml").problems[0].message


KEYS = ["all", "any", "not", "did", "within", "last", "segment", "members", "x"]
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda part: st.lists(part, max_size=3) | st.dictionaries(st.sampled_from(KEYS), part, max_size=3),
    max_leaves=8,
)


@given(anything)
def test_no_data_breaks_the_reader(data: object) -> None:
    for whole in (data, {"segment": "s", "members": data}):
        with suppress(ValueError):
            segment_from_data(whole)  # type: ignore[arg-type]
