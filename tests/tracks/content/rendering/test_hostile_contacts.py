"""A published library template renders a complete message from any data of a contact, an event or a step."""

from __future__ import annotations

import re
import unicodedata
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.tracks.library import MESSAGES
from tracks.content.markup.markup import attributes, tokens
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.render import MAX_SMS, render_email, write_sms
from tracks.content.rendering.rendered_messages import RenderedEmail, RenderedSms
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.template import Template

MARK = "zqx"
"""The beginning of every hostile text, to find it in the output."""
HOSTILE = (
    "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "{{ contact.email }}", "{% for i in (1..9) %}",
    "</mj-text></mjml>", "<![CDATA[x", "<!--", "&lt;&amp;&#x3c;", "\x00\x07\x1b[31m", "\r\nBcc: x@y.test",
    "\u202e\u2066\u200f", "שלום عالم", "👩‍👩‍👧‍👦🏴", "\u2028\u2029\x85", "--- !!python/object", "%0d%0a",
    "' OR 1=1 --", "́" * 50,
)  # fmt: skip
texts = st.one_of(st.sampled_from(HOSTILE), st.text(max_size=40), st.just("x" * 5000)).map(lambda text: MARK + text)
values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(texts, st.none(), st.booleans(), st.integers(), st.floats(), st.just(""), st.just("  ")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
items = st.one_of(
    values, st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(("name", "price", "quantity"), values)))
)
NAMES = ("first_name", "last_name", "company", "role", "industry", "trial_ends_on")


def contexts(depth: st.SearchStrategy[Any]) -> st.SearchStrategy[MessageContext]:
    return st.builds(
        lambda attributes, properties, locale, steps: MessageContext(
            {"id": "c-1", "email": "a@b.test", "phone": None, "locale": locale, "attributes": attributes},
            {"id": "e-1", "track": "t", "version": 1, "properties": properties},
            {},
            "https://acme.test/u/t0ken",
            steps,
        ),
        st.fixed_dictionaries({}, optional=dict.fromkeys(NAMES, depth)),
        st.fixed_dictionaries({}, optional={"cart_id": depth, "items": items}),
        st.one_of(st.none(), st.sampled_from(["de", "de_DE", "pt-BR", "x"]), st.text(max_size=10)),
        st.fixed_dictionaries({}, optional={"activation": st.sampled_from(["happened", "timed out"])}),
    )


def message(template: Template, context: MessageContext) -> RenderedEmail | RenderedSms | str:
    """The message, or its error code."""
    try:
        return write_sms(template, context) if template.kind == "sms" else render_email(template, context)
    except TemplateError as error:
        return error.code


def tags(html: str) -> list[str]:
    return sorted(token.name for token in tokens(html) if token.kind != "text")


@pytest.mark.parametrize("name", MESSAGES)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(context=contexts(values))
def test_no_data_breaks_a_message_or_becomes_its_markup(name: str, context: MessageContext) -> None:
    template: Template = MESSAGES[name]
    made = message(template, context)
    if isinstance(made, str):  # a name of 5,000 letters or 5,000 digits: only this message fails
        assert made in ("SmsTooLong", "SubjectTooLong", "LiquidValueError")
        return
    if isinstance(made, RenderedSms):
        assert len(made.text) <= MAX_SMS
        return
    rendered = made
    assert rendered.subject and not re.search(r"[\r\n\x00]", rendered.subject)
    assert "https://acme.test/u/t0ken" in rendered.html and "https://acme.test/u/t0ken" in rendered.text
    assert rendered.html.endswith("</html>")
    assert not {"script", "img", "mj-text"} & set(tags(rendered.html))
    named = (attributes(token.text) for token in tokens(rendered.html) if token.kind != "text")
    assert not any("onerror" in names for names in named)
    assert not any(unicodedata.category(mark) in ("Cc", "Cs") and mark not in "\t\r\n\x85" for mark in rendered.html)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_is_shown_as_it_is_written(text: str) -> None:
    template = MESSAGES["trial-welcome"]
    plain = MessageContext({"id": "c", "attributes": {"first_name": "Ann"}}, {"id": "e", "properties": {}}, {}, "u")
    hostile = MessageContext({"id": "c", "attributes": {"first_name": text}}, {"id": "e", "properties": {}}, {}, "u")
    assert tags(render_email(template, hostile).html) == tags(render_email(template, plain).html)
    if "{" in text:
        assert text in render_email(template, hostile).text
