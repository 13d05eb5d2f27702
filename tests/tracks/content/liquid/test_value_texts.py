"""Data is printed in Liquid's format, not in Python's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.content.rendering.liquid_rendering import render_text
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.render import render_email
from tracks.content.templates.template import Template


def context(**attributes: Any) -> MessageContext:
    return MessageContext({"id": "c", "attributes": attributes}, {"id": "e", "properties": {}})


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('{{ contact.attributes.list | join: ", " }}', "a, 1, , true"),
        ("{{ contact.attributes.list }}", "a1true"),
        ("{{ contact.attributes.item }}", '{"a": 1, "b": null}'),
        ("{{ contact.attributes.item | append: '!' }}", '{"a": 1, "b": null}!'),
        ("{{ contact.attributes.list | append: '!' }}", "a1true!"),
        ("{{ '-' | append: contact.attributes.list }}", "-a1true"),
        ("{{ contact.attributes.nested | join: '/' }}", "1/2//x"),
        ("{% cycle contact.attributes.list %}", "a1true"),
        ("{% echo contact.attributes.item %}", '{"a": 1, "b": null}'),
        ("{% for pair in contact.attributes.item %}{{ pair }};{% endfor %}", "a1;b;"),
        ("{{ contact.attributes.yes | upcase }} {{ contact.attributes.none | upcase }}.", "TRUE ."),
        ("{{ contact.attributes.items | map: 'a' | join: ' ' }}", "1  2"),
    ],
)
def test_a_value_is_printed_as_liquid_does(source: str, text: str) -> None:
    values = {
        "list": ["a", 1, None, True],
        "item": {"a": 1, "b": None},
        "nested": [1, [2, [None]], "x"],
        "items": [{"a": 1}, {"a": None}, {"a": 2}],
        "yes": True,
        "none": None,
    }
    assert render_text(source, context(**values)) == text


VALUES = st.recursive(
    st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("ab"), inner, max_size=2),
    max_leaves=8,
)


@given(VALUES)
def test_nothing_of_python_is_printed(value: Any) -> None:
    shown = "{{ contact.attributes.v }}|{{ contact.attributes.v | upcase }}|{{ contact.attributes.v | join: '-' }}"
    text = render_text(shown, context(v=value))
    assert not any(word in text for word in ("None", "True", "False", "'"))


def test_what_is_printed_of_an_object_is_never_markup() -> None:
    body = (
        "<mjml><mj-body><mj-section><mj-column><mj-text>{{ contact.attributes.o }}{{ contact.attributes.l }}</mj-text>"
    )
    body += "</mj-column></mj-section></mj-body></mjml>"
    rendered = render_email(
        Template(kind="email", subject="x", body=body), context(o={"a": "<script>"}, l=["<b>", ["<i>"]])
    )
    assert "<script>" not in rendered.html and "<b>" not in rendered.html and "<i>" not in rendered.html
    assert '{"a": "<script>"}<b><i>' in rendered.text
