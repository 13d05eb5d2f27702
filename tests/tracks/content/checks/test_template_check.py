"""Errors that publishing finds in a template."""

from __future__ import annotations

import pytest

from tracks.content.checks.template_check import check_template, check_text
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.render import render_sms
from tracks.content.templates.template import Template, TemplateVariable


def mjml(text: str) -> str:
    block = f"<mj-section><mj-column>\n<mj-text>{text}</mj-text>\n</mj-column></mj-section>"
    return f"<mjml>\n<mj-body>\n{block}\n</mj-body>\n</mjml>"


def email(body: str, subject: str = "Hello", **variables: TemplateVariable) -> Template:
    return Template(kind="email", subject=subject, variables=variables, body=body, body_line=5)


def test_a_good_template_has_no_problems() -> None:
    template = email(
        mjml(
            'Hi {{ contact.attributes.first_name | default: "there" }}, {{ cta }} <a href="{{ unsubscribe_url }}">x</a>'
        ),
        cta=TemplateVariable(required=True),
    )
    assert check_template(template) == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{{ nobody }}", "unknown variable 'nobody'"),
        ("{{ event.name }}", "unknown variable 'event'"),
        ("{{ contact.first_name }}", "did you mean `contact.attributes.first_name`?"),
        ("{{ enrollment.colour }}", "`enrollment.colour` does not exist"),
        ("{{ contact.id | shout }}", "there is no filter `shout`"),
        ("{{ contact.id | safe }}", "there is no filter `safe`"),
        ("{% include 'other' %}", "unexpected tag 'include'"),
        ("{{ contact.id", "expected '}}'"),
        ("<mj-txt>x</mj-txt>", "`mj-txt` is not an MJML tag"),
        ('<mj-include path="other" />', "share a block instead"),
        ("<b>never closed", "not valid XML"),
        ("a < b", "not valid XML"),
    ],
)
def test_a_fault_in_the_body_is_told_with_its_line(text: str, part: str) -> None:
    (problem,) = check_template(email(mjml(text)))
    assert part in problem.message
    assert problem.line == 8, "the fourth line of the body, which begins on line 5"


def test_a_block_that_never_ends_is_told() -> None:
    (problem,) = check_template(email(mjml("{% if contact.id %}")))
    assert "expected tag endif" in problem.message


def test_a_fault_in_the_subject_says_that_it_is_the_subject() -> None:
    (problem,) = check_template(email(mjml("x"), subject="{{ nobody }}"))
    assert problem.message.startswith("in the subject: ")


def test_names_made_by_the_template_itself_are_known() -> None:
    body = mjml("{% assign a = 'x' %}{{ a }}{% for item in enrollment.properties.items %}{{ item.title }}{% endfor %}")
    assert check_template(email(body)) == []


def test_a_text_that_only_a_full_contact_fills_is_refused() -> None:
    (problem,) = check_template(Template(kind="sms", body="{{ contact.attributes.first_name }}"))
    assert "default:" in problem.message


def test_a_template_that_never_ends_is_refused() -> None:
    (problem,) = check_template(email(mjml("{% for i in (1..1000000000) %}x{% endfor %}")))
    assert "LoopIterationLimitError" in problem.message


def test_an_sms_that_no_provider_takes_is_refused() -> None:
    (problem,) = check_template(Template(kind="sms", body="x" * 1601))
    assert "SmsTooLong" in problem.message


def test_a_text_of_a_step_is_checked_against_its_variables() -> None:
    assert check_text("{{ cta }} {{ contact.id }}", ("cta",)) == []
    (problem,) = check_text("{{ cta }}")
    assert "unknown variable 'cta'" in problem.message


@pytest.mark.parametrize(
    "text",
    [
        "{{ contact.attributes.first_name }}",
        "{{ contact.attributes.first_name | upcase }}",
        "{{ contact.attributes['first_name'] }}",
        "{{ contact.attributes }}",
        "{{ enrollment.properties.cart_id | url_encode }}",
        "{{ note }}",
        "{% assign n = contact.attributes.first_name | capitalize %}{{ n }}",
        "{% if contact.attributes.company %}{{ contact.attributes.first_name }}{% endif %}",
        "{% echo contact.attributes.first_name %}",
        "{% for i in (1..2) %}{{ contact.attributes.first_name }}{% endfor %}",
    ],
)
def test_what_may_not_be_there_needs_something_in_its_place(text: str) -> None:
    (problem,) = check_template(email(mjml(text), note=TemplateVariable()))
    assert "may be missing: write `| default:`" in problem.message
    assert problem.line == 8


@pytest.mark.parametrize(
    "text",
    [
        "{{ contact.attributes.first_name | default: 'you' }}",
        "{{ contact.attributes.first_name | capitalize | default: 'you' | upcase }}",
        "{{ contact.attributes.points | plus: 0 }}",
        "{% if contact.attributes.first_name %}{{ contact.attributes.first_name }}{% endif %}",
        "{% if contact.attributes.a == 1 and contact.attributes.b %}{% if note %}{{ note }}{% endif %}{% endif %}",
        "{% unless contact.attributes.a == blank %}{{ contact.attributes.a.b | upcase }}{% endunless %}",
        "{% if contact.id %}x{% elsif contact.attributes.a %}{{ contact.attributes.a }}{% endif %}",
        "{% case contact.attributes.a %}{% when 'x' %}{{ contact.attributes.a }}{% endcase %}",
        "{% assign n = contact.attributes.a | default: 'x' %}{{ n }}",
        "{% assign n = contact.attributes.a %}{% if n %}{{ n }}{% endif %}",
        "{% for item in enrollment.properties.items %}{{ item.title }}{% endfor %}",
        "{{ cta }} {{ plan }} {{ contact.id }} {{ unsubscribe_url }}",
    ],
)
def test_what_is_asked_for_or_has_a_default_may_be_shown(text: str) -> None:
    cta, plan = TemplateVariable(default="Go"), TemplateVariable(required=True)
    assert check_template(email(mjml(text), note=TemplateVariable(), cta=cta, plan=plan)) == []


def test_a_name_of_spaces_is_no_name() -> None:
    body = "Hi {{ contact.attributes.first_name | default: 'there' }}."
    context = MessageContext({"id": "c", "attributes": {"first_name": "  "}}, {"id": "e", "properties": {}})
    assert render_sms(body, context) == "Hi there."
