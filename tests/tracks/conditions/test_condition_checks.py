"""What is wrong with a condition is said when it is published, with what would be right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.conditions.test_conditions import ALL, context
from tracks.conditions.conditions import check, judge, reads


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ('contact.role == "x"', "did you mean contact.attributes.role?"),
        ("contact.atributes.role == 1", "did you mean contact.attributes?"),
        ("enrolment.id == 'x'", "did you mean 'enrollment'?"),
        ("a = 1", "write == instead of ="),
        ("now > event.at and true", "write && instead of 'and'"),
        ("not contact.has_phone", "write ! instead of 'not'"),
        ("contact.id == \u2018x\u2019", "straight quotes"),
        ("", "the condition is empty"),
        ("contact.id ==", "not CEL at character"),
        ("sizes(contact.id) == 1", "did you mean 'size'?"),
        ("cel.bind(x, 1, x == 1)", "unknown function 'bind'"),
        ("contact.attributes.tags.map(t, t + t) == []", "`map` is not allowed"),
        ("contact.attributes.a.all(x, contact.attributes.b.exists(y, y == x))", "`exists` inside `all`"),
        ("contact.attributes.tags.exists(contact, contact == 1)", "a loop's own name may not be 'contact'"),
        ('contact.id.matches("[")', "not a regular expression"),
        ("contact.id.matches(event.properties.p)", "one pattern, written out"),
        ('contact.id.matches("(a{20}){20}")', "one {n} of at most 20"),
        ('contact.attributes.tags.exists(t, t.matches("a"))', "may not stand inside a loop"),
        (".contact.id == 'x'", "do not start with a dot"),
        ("(" * 30 + "true" + ")" * 30, "nested 30 deep"),
        ("true" + " || true" * 200, "at most 1000 are allowed"),
    ],
)
def test_a_bad_condition_says_what_would_be_right(expression: str, complaint: str) -> None:
    assert complaint in "; ".join(check(expression, ALL))


def test_only_the_variables_of_the_place_can_be_read() -> None:
    assert check("enrollment.id == 'x'", ("contact", "event", "now")) == [
        "'enrollment' is not known here; this condition can use contact, event, now"
    ]


def test_all_problems_of_a_condition_are_told_at_once() -> None:
    assert len(check("foo(contact.rol) && bar(1) && x == 1", ALL)) == 4


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ('event.properties.plan != "enterprise"', {"event.properties.plan"}),
        ('event.properties["a b"] == contact . attributes\n. x', {"event.properties.a b", "contact.attributes.x"}),
        ("has(contact.attributes.a.b)", {"contact.attributes.a.b"}),
        ("contact.attributes.list.exists(x, x.y == now)", {"contact.attributes.list", "now"}),
        ("contact.attributes.name.size() > 2", {"contact.attributes.name"}),
        ('"contact.id" == "event" // enrollment.id', set()),
        ("event.properties[contact.id] == 1", {"event.properties", "contact.id"}),
        ("true || null == false", set()),
    ],
)
def test_what_a_condition_reads_is_known_without_running_it(expression: str, paths: set[str]) -> None:
    assert reads(expression) == paths


@given(st.text(alphabet="ab.()[]{}\"'!=<>&|? ,\\n0123456789exists has(contact.event)", max_size=60))
def test_no_text_makes_the_check_raise(expression: str) -> None:
    if check(expression, ALL) == []:
        judge(expression, context())
