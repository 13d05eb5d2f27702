"""A block that several templates share is copied into each, with its languages and variables."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tracks.content.templates.template_examples import someone
from tracks.content.checks.template_check import check_template
from tracks.content.rendering.preview import as_message, preview
from tracks.content.rendering.render import render_email
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.shared_blocks import shared_keys, with_shared
from tracks.content.templates.template import parse_template, template_facts
from tracks.content.templates.template_model import Template

FOOTER = """---
kind: block
variables: {company: {default: Acme}}
choices:
  - {name: uk, when: 'contact.attributes.country == "UK"', text: '<mj-text>London {{ unsubscribe_url }}</mj-text>'}
---
<mj-text>{{ company }} {{ unsubscribe_url }}</mj-text>
"""
FOOTER_DE = """---
choices: {uk: '<mj-text>Londra? Nein: London {{ unsubscribe_url }}</mj-text>'}
---
<mj-text>{{ company }}, Berlin {{ unsubscribe_url }}</mj-text>
"""
USER = """---
kind: email
subject: Hi
blocks:
  end: {template: footer}
---
<mjml><mj-body><mj-section><mj-column>{{ blocks.end }}</mj-column></mj-section></mj-body></mjml>
"""


class TestSharing:
    def shared(self, variant: bool = True) -> Template:
        german = USER.replace("blocks:\n  end: {template: footer}\n", "").replace("Hi", "Hallo")
        template = parse_template(USER, {"de": german} if variant else {})
        assert shared_keys(template) == {("footer", None)}
        footer = parse_template(FOOTER, {"de": FOOTER_DE})
        assert check_template(footer) == []
        found, problems = with_shared(template, {("footer", None): (3, footer)})
        assert problems == []
        return found

    def test_a_shared_block_is_copied_in_with_its_languages_and_variables(self) -> None:
        template = self.shared()
        assert check_template(template) == []
        assert template.blocks["end"].origin == "footer 3"
        assert template_facts(template).unsubscribe, "the way out may stand in a block that is always shown"
        assert template_facts(template).variables == {"company"}
        assert "London" in render_email(template, someone(country="UK")).text
        assert "Acme, Berlin" in render_email(template, someone("de-DE")).text

    @pytest.mark.parametrize(
        ("known", "part"),
        [
            ({}, "there is no template 'footer'"),
            ({("footer", None): (1, parse_template(USER))}, "kind email, not block"),
        ],
    )
    def test_a_block_that_is_not_there_is_told(self, known: Any, part: str) -> None:
        _, (problem,) = with_shared(parse_template(USER), known)
        assert part in problem.message

    def test_a_shared_block_can_be_looked_at_alone(self) -> None:
        footer = parse_template(FOOTER, {"de": FOOTER_DE})
        assert "Acme, Berlin" in preview(as_message(footer), someone("de")).text
        with pytest.raises(TemplateError):
            preview(as_message(parse_template("---\nkind: block\n---\n<mj-text>")), someone())
