"""A condition that no data can make true is told as such, and no other."""

import pytest

from tests.tracks.conditions.test_conditions import ALL
from tracks.conditions.conditions import check


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
