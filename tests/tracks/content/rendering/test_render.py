"""From a template to the message itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.content.rendering.liquid_rendering import render_values
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.render import render_email, render_sms
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.template import Template, TemplateVariable


def context(variables: dict[str, Any] | None = None, **attributes: Any) -> MessageContext:
    return MessageContext(
        contact={"id": "c-1", "email": "ann@acme.test", "attributes": attributes},
        enrollment={"id": "e-1", "track": "welcome", "properties": {"cart": "7"}},
        variables=variables or {},
        unsubscribe_url="https://acme.test/u/t0ken",
    )


def mjml(text: str, head: str = "") -> str:
    block = f"<mj-section><mj-column><mj-text>{text}</mj-text></mj-column></mj-section>"
    return f"<mjml>{head}<mj-body>{block}</mj-body></mjml>"


def email(body: str, subject: str = "Hello", **fields: Any) -> Template:
    return Template(kind="email", subject=subject, body=body, **fields)


class TestEmail:
    def test_liquid_runs_before_mjml(self) -> None:
        body = mjml("{% if contact.attributes.score > 50 %}hot{% else %}cold{% endif %}")
        assert "hot" in render_email(email(body), context(score=51)).html

    def test_styles_are_inlined_and_media_queries_stay(self) -> None:
        style = ".x { color: #123456 } @media (max-width: 480px) { .x { color: red } }"
        head = f"<mj-head><mj-style>{style}</mj-style></mj-head>"
        html = render_email(email(mjml('<p class="x">a</p>', head)), context()).html
        assert "color: #123456" in html[html.index('<p class="x"') :][:80]
        assert "@media (max-width: 480px)" in html

    @pytest.mark.parametrize(
        "rule",
        [
            ".y:hover { color: blue }", "a:visited { color: green }", "[data-ogsc] .x { color: white }",
            "u + .body .x { color: black }", "a[x-apple-data-detectors] { color: inherit }",
            "#outlook a { padding: 0 }", ".ExternalClass { width: 100% }", ".gone:not(.y) { margin: 0 }",
            "@media (prefers-color-scheme: dark) { .x { color: white } }",
            "@font-face { font-family: F; src: url(https://f.test/f.woff2) }",
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("tag", ["<mj-style>", '<mj-style inline="inline">', "<mj-style inline = 'inline' >"])
    def test_a_rule_that_cannot_be_inlined_stays(self, tag: str, rule: str) -> None:
        head = f"<mj-head>{tag}.x {{ color: red }} {rule}</mj-style></mj-head>"
        html = render_email(email(mjml('<p class="x y"><a href="#">a</a></p>', head)), context()).html
        spaceless = "".join(html.replace(";", "").split())
        assert "".join(rule.replace(";", "").split()) in spaceless
        assert "color:red" in spaceless[spaceless.index('<pclass="xy"') :][:80]
        assert ".x{color:red" not in spaceless

    def test_nothing_is_loaded_from_elsewhere_unasked(self) -> None:
        assert "fonts.googleapis" not in render_email(email(mjml("a")), context()).html

    def test_what_a_contact_says_is_never_markup(self) -> None:
        rendered = render_email(email(mjml("{{ contact.attributes.first_name }}")), context(first_name="<b>&{{ x }}"))
        assert "&lt;b&gt;&amp;{{ x }}" in rendered.html
        assert "<b>&{{ x }}" in rendered.text

    @given(st.text())
    def test_any_name_leaves_the_message_whole(self, name: str) -> None:
        link = '<a href="https://x.test/?n={{ contact.attributes.first_name | url_encode }}">go</a>'
        body = mjml("Hi {{ contact.attributes.first_name }}!</mj-text><mj-text>" + link + " end")
        rendered = render_email(
            email(body, subject="Hi {{ contact.attributes.first_name }}."), context(first_name=name)
        )
        assert "end" in rendered.html and "end" in rendered.text
        assert "\n" not in rendered.subject and "\r" not in rendered.subject

    def test_a_missing_attribute_is_empty(self) -> None:
        rendered = render_email(email(mjml("[{{ contact.attributes.gone.further }}]")), context())
        assert "[]" in rendered.text

    def test_the_step_may_replace_the_subject(self) -> None:
        assert render_email(email(mjml("a")), context(), subject="For {{ contact.id }}").subject == "For c-1"

    def test_a_line_end_in_a_subject_cannot_begin_a_header(self) -> None:
        template = email(mjml("a"), subject="Hi {{ contact.attributes.first_name }}")
        assert render_email(template, context(first_name="x\r\nBcc: y@z.test")).subject == "Hi x Bcc: y@z.test"

    def test_variables_have_defaults_that_the_step_replaces(self) -> None:
        template = email(mjml("[{{ cta }}]"), variables={"cta": TemplateVariable(default="Start")})
        assert "[Start]" in render_email(template, context()).text
        assert "[Go]" in render_email(template, context({"cta": "Go"})).text

    def test_a_variable_cannot_stand_in_for_the_way_out(self) -> None:
        rendered = render_email(
            email(mjml("[{{ unsubscribe_url }}]")), context({"unsubscribe_url": "https://evil.test"})
        )
        assert "[https://acme.test/u/t0ken]" in rendered.text

    @pytest.mark.parametrize("head", ["", "<mj-head></mj-head>"], ids=["no head", "a head"])
    def test_the_preheader_is_hidden_in_the_html_alone(self, head: str) -> None:
        rendered = render_email(email(mjml("a", head), preheader="Soon & {{ contact.id }}"), context())
        assert "c-1" in rendered.html
        assert "c-1" not in rendered.text

    def test_a_plain_body_makes_an_email_of_text_alone(self) -> None:
        rendered = render_email(email("Hi {{ contact.id }} & <co>"), context())
        assert (rendered.html, rendered.text) == ("", "Hi c-1 & <co>")

    def test_the_text_part_reads_like_the_mail(self) -> None:
        body = """<mjml><mj-head><mj-title>no</mj-title><mj-style>p { color: red }</mj-style></mj-head><mj-body>
          <mj-section><mj-column>
            <mj-image src="https://x.test/a.png" alt="Acme" />
            <mj-text><h1>Welcome</h1><p>Read <a href="https://x.test/?a=1&amp;b=2">the
              guide</a>, then<br/>start.</p><ul><li>one</li><li><b>two</b></li></ul></mj-text>
            <mj-divider /><mj-button href="https://x.test/go">Start now</mj-button>
          </mj-column></mj-section></mj-body></mjml>"""
        assert render_email(email(body), context()).text == (
            "Acme\n\nWelcome\n\nRead the guide (https://x.test/?a=1&b=2), then\nstart.\n\n"
            "- one\n- two\n\n---\n\nStart now: https://x.test/go\n"
        )


class TestFaults:
    @pytest.mark.parametrize(
        ("template", "code"),
        [
            (email(mjml("<b>x")), "Mjml"),
            (email(mjml("x"), subject="{{ contact.attributes.gone }}"), "EmptySubject"),
            (email("{{ contact.attributes.gone }}"), "EmptyBody"),
            (email(mjml("{{ 1 | divided_by: 0 }}")), "FilterArgumentError"),
            (email(mjml("{{ plan }}"), variables={"plan": TemplateVariable(required=True)}), "MissingVariable:plan"),
            (email(mjml("{% for i in (1..99999999) %}x{% endfor %}")), "LoopIterationLimitError"),
            (email("x", subject="x" * 501), "SubjectTooLong"),
        ],
        ids=lambda value: value if isinstance(value, str) else "",
    )
    def test_a_fault_has_a_code(self, template: Template, code: str) -> None:
        with pytest.raises(TemplateError) as caught:
            render_email(template, context())
        assert caught.value.code == code

    def test_a_fault_tells_nothing_of_the_contact(self) -> None:
        template = email(mjml("{{ contact.attributes.first_name | divided_by: 0 }}"))
        with pytest.raises(TemplateError) as caught:
            render_email(template, context(first_name="Ann Secret"))
        assert "Ann" not in repr(caught.value)
        assert caught.value.__cause__ is None


class TestSms:
    def test_a_text_of_the_step_itself(self) -> None:
        assert render_sms("Hi {{ contact.id }} & co ", context()) == "Hi c-1 & co"

    def test_a_template_with_variables(self) -> None:
        template = Template(kind="sms", body="{{ cta }}", variables={"cta": TemplateVariable(default="Go")})
        assert render_sms(template, context()) == "Go"

    @pytest.mark.parametrize(("text", "code"), [(" ", "EmptyBody"), ("x" * 1601, "SmsTooLong")])
    def test_what_no_provider_takes_is_a_fault(self, text: str, code: str) -> None:
        with pytest.raises(TemplateError, match=code):
            render_sms(text, context())


def test_values_are_rendered_wherever_text_stands() -> None:
    value = {"who": "{{ contact.id }}", "n": 3, "deep": [{"cart": "{{ enrollment.properties.cart }}"}, None, True]}
    assert render_values(value, context()) == {"who": "c-1", "n": 3, "deep": [{"cart": "7"}, None, True]}
