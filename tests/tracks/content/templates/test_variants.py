"""Blocks and languages: which texts a contact gets, and what publishing refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tracks.content.checks.template_check import check_template
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.preview import as_message, preview
from tracks.content.rendering.render import render_email, render_sms
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.shared_blocks import shared_keys, with_shared
from tracks.content.templates.template import TemplateProblems, parse_template, template_facts
from tracks.content.templates.template_model import Template

ENGLISH = """---
kind: email
locale: en
subject: '{{ blocks.greeting }}'
preheader: Soon
variables:
  cta: {default: Go}
blocks:
  greeting:
    - {name: shop, when: 'contact.attributes.industry == "retail"', text: Your shop}
    - {name: clicked, when: 'enrollment.steps.hello == "happened"', text: You clicked}
    - else: Hello
  proof:
    - name: engineer
      when: contact.attributes.role == "engineer"
      text: |-
        <mj-text>Numbers for
        {{ contact.attributes.first_name | default: "you" }}</mj-text>
    - name: rich
      when: contact.attributes.score > 5
      text: <mj-text>Rich</mj-text>
    - else: ''
---
<mjml><mj-body><mj-section><mj-column>
{{ blocks.proof }}
<mj-text>{{ cta }} <a href="{{ unsubscribe_url }}">Leave</a></mj-text>
</mj-column></mj-section></mj-body></mjml>
"""
BODY = ENGLISH.split("---\n")[2]
GERMAN = f"""---
subject: '{{{{ blocks.greeting }}}}'
variables:
  cta: {{default: Los}}
blocks:
  greeting: {{shop: Ihr Laden, clicked: Sie haben geklickt, else: Hallo}}
  proof: {{engineer: <mj-text>Zahlen</mj-text>, rich: <mj-text>Reich</mj-text>}}
---
{BODY.replace("Leave", "Abmelden")}"""
ARABIC = GERMAN.replace("Abmelden", "إلغاء").replace("Hallo", "مرحبا")


def whole() -> Template:
    return parse_template(ENGLISH, {"de": GERMAN, "ar": ARABIC})


def someone(locale: str | None = None, **attributes: Any) -> MessageContext:
    contact = {"id": "c-1", "email": "a@b.test", "phone": None, "locale": locale, "attributes": attributes}
    return MessageContext(contact, {"id": "e-1", "track": "t", "version": 1, "properties": {}}, {}, "https://x.test/u")


class TestBlocks:
    @pytest.mark.parametrize(
        ("attributes", "subject", "proof", "chosen"),
        [
            ({}, "Hello", "", {"greeting": "else", "proof": "else"}),
            ({"industry": "retail"}, "Your shop", "", {"greeting": "shop", "proof": "else"}),
            ({"role": "engineer", "first_name": "Ann"}, "Hello", "Numbers for Ann", {"proof": "engineer"}),
            ({"role": "engineer", "score": 9}, "Hello", "Numbers for you", {"proof": "engineer"}),
            ({"role": "poet", "score": 9}, "Hello", "Rich", {"proof": "rich"}),
            ({"role": ["engineer"], "score": "high", "industry": None}, "Hello", "", {"proof": "else"}),
        ],
    )
    def test_the_first_condition_that_holds_decides(
        self, attributes: dict[str, Any], subject: str, proof: str, chosen: dict[str, str]
    ) -> None:
        rendered = render_email(whole(), someone(**attributes))
        assert rendered.subject == subject
        assert rendered.text.startswith(f"{proof}\n\nGo" if proof else "Go")
        assert rendered.choices.chosen.items() >= chosen.items()

    def test_a_block_may_ask_what_the_contact_did(self) -> None:
        assert render_email(whole(), replace(someone(), steps={"hello": "happened"})).subject == "You clicked"

    def test_why_others_were_passed_over_is_told(self) -> None:
        (_, proof) = render_email(whole(), someone(role="poet", score="high")).choices.blocks
        assert proof.passed == (("engineer", "false"), ("rich", "type"))

    def test_data_too_large_to_look_at_is_the_fallback(self) -> None:
        rendered = render_email(whole(), someone(industry="retail", notes=["x"] * 6000))
        assert rendered.choices.blocks[0].passed[0] == ("shop", "too large")

    def test_what_a_contact_says_is_escaped_within_a_block(self) -> None:
        html = render_email(whole(), someone(role="engineer", first_name="<b>{{ cta }}")).html
        assert "&lt;b&gt;{{ cta }}" in html

    def test_blocks_serve_text_messages_too(self) -> None:
        source = (
            "---\nkind: sms\nblocks:\n  why:\n"
            "    - {name: shop, when: 'contact.attributes.industry == \"retail\"', text: Sell & more}\n"
            "    - else: Do more\n---\nHi. {{ blocks.why }}."
        )
        assert render_sms(parse_template(source), someone(industry="retail")) == "Hi. Sell & more."
        assert check_template(parse_template(source)) == []

    def test_the_whole_is_sound(self) -> None:
        assert check_template(whole()) == []
        assert Template.model_validate_json(whole().model_dump_json()) == whole()

    @pytest.mark.parametrize(
        ("old", "new", "line", "part"),
        [
            ("    - else: Hello\n", "", 9, "the last choice must be `else:`"),
            ('industry == "retail"', "industry = 1", 9, "`shop`: not CEL: to compare"),
            ("contact.attributes.score > 5", "event.name == 'x'", 13, "'event' is not known here"),
            ("name: rich", "name: engineer", 13, "two choices `engineer`"),
            ("name: rich", "name: else", 13, "must be named"),
            ("  proof:\n", "  Proof:\n", 13, "lower-case"),
            ("text: You clicked", "txt: You clicked", 11, "extra inputs"),
        ],
    )
    def test_a_bad_declaration_is_refused_with_its_line(self, old: str, new: str, line: int, part: str) -> None:
        assert old in ENGLISH
        with pytest.raises(TemplateProblems) as caught:
            parse_template(ENGLISH.replace(old, new))
        assert any(p.line == line and part in p.message for p in caught.value.problems), caught.value.problems

    @pytest.mark.parametrize(
        ("old", "new", "line", "part"),
        [
            ("Numbers for\n", "Numbers for {{ nobody }}\n", 17, "in the block `proof`, `engineer`: unknown variable"),
            (
                '        {{ contact.attributes.first_name | default: "you" }}',
                "        {{ cta | shout }}",
                18,
                "no filter",
            ),
            ("<mj-text>Rich</mj-text>", "<mj-txt>Rich</mj-txt>", 0, "`mj-txt` is not an MJML tag"),
            (
                "<mj-text>Rich</mj-text>",
                "<mj-text>Rich",
                0,
                "not valid XML for a full contact (greeting clicked, proof rich)",
            ),
            ("{{ blocks.proof }}\n", "", 0, "block `proof` is shown nowhere"),
            ("{{ blocks.proof }}", "{{ blocks.prof }}", 25, "there is no block `prof`; did you mean 'proof'?"),
            ("<mj-text>Rich</mj-text>", "<mj-text>{{ blocks.greeting }}</mj-text>", 0, "unknown variable 'blocks'"),
        ],
    )
    def test_a_fault_in_a_block_is_told(self, old: str, new: str, line: int, part: str) -> None:
        assert old in ENGLISH
        found = check_template(parse_template(ENGLISH.replace(old, new)))
        assert any((p.line == line or not line) and part in p.message for p in found), found


class TestLanguages:
    @pytest.mark.parametrize(
        ("locale", "subject", "language", "direction"),
        [
            ("de_AT.UTF-8", "Hallo", "de", "ltr"),
            ("ar-EG", "مرحبا", "ar", "rtl"),
            ("en-GB", "Hello", "en", "ltr"),
            ("fr", "Hello", "en", "ltr"),
            ("<script>", "Hello", "en", "ltr"),
            (None, "Hello", "en", "ltr"),
        ],
    )
    def test_a_contact_reads_their_language(
        self, locale: str | None, subject: str, language: str, direction: str
    ) -> None:
        rendered = render_email(whole(), someone(locale))
        assert (rendered.subject, rendered.choices.locale) == (subject, language)
        assert f'<html lang="{language}" dir="{direction}"' in rendered.html
        assert ("text-align: right" in rendered.html or "text-align:right" in rendered.html) is (direction == "rtl")

    def test_conditions_are_the_same_in_every_language_and_defaults_are_its_own(self) -> None:
        rendered = render_email(whole(), someone("de", industry="retail", score=9))
        assert rendered.subject == "Ihr Laden"
        assert rendered.text.startswith("Reich\n\nLos")

    def test_what_the_author_says_of_the_language_stays(self) -> None:
        source = ENGLISH.replace("<mjml>", '<mjml lang="en-GB" dir="auto">')
        assert '<html lang="en-GB" dir="auto"' in render_email(parse_template(source), someone()).html

    @pytest.mark.parametrize(
        ("old", "new", "part"),
        [
            ("subject: '{{ blocks.greeting }}'\n", "", "needs a `subject`"),
            ("else: Hallo", "", "the text of `else` is missing in this language"),
            ("engineer: <mj", "enginer: <mj", "there is no choice `enginer`"),
            ("  proof:", "  profe:", "there is no block `profe`"),
            ("  cta: {default: Los}", "  ctaa: {default: Los}", "`ctaa` is not declared in the template itself"),
            ("variables:", "kind: sms\nvariables:", "the template is of the kind email"),
            ("variables:", "locale: fr\nvariables:", "the file is the variant for de"),
        ],
    )
    def test_a_variant_says_all_that_the_template_says(self, old: str, new: str, part: str) -> None:
        assert old in GERMAN
        with pytest.raises(TemplateProblems) as caught:
            parse_template(ENGLISH, {"de": GERMAN.replace(old, new, 1)})
        assert all(problem.locale == "de" for problem in caught.value.problems)
        assert any(part in problem.message for problem in caught.value.problems), caught.value.problems

    @pytest.mark.parametrize(
        ("variants", "part"),
        [
            ({"d": GERMAN}, "is not a locale"),
            ({"de": GERMAN, "DE": GERMAN}, "two variants"),
            ({"en": GERMAN}, "cannot be"),
        ],
    )
    def test_a_variant_has_a_language_of_its_own(self, variants: dict[str, str], part: str) -> None:
        with pytest.raises(TemplateProblems, match=part):
            parse_template(ENGLISH, variants)

    def test_a_fault_in_a_variant_is_told_with_its_file_and_line(self) -> None:
        (problem,) = check_template(parse_template(ENGLISH, {"de": GERMAN.replace("{{ cta }}", "{{ cto }}")}))
        assert (problem.locale, problem.line) == ("de", 11)
        assert "unknown variable 'cto'; did you mean 'cta'?" in problem.message

    def test_the_way_out_is_needed_in_each(self) -> None:
        assert template_facts(whole()).unsubscribe
        without = GERMAN.replace("{{ unsubscribe_url }}", "https://x.test")
        assert not template_facts(parse_template(ENGLISH, {"de": without})).unsubscribe


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


class TestPreview:
    def test_it_tells_what_to_look_at(self) -> None:
        shown = preview(whole(), someone("fr", role="engineer"))
        assert shown.subject == "Hello"
        assert any("no variant for fr" in warning for warning in shown.warnings)
        assert any("contact.attributes.first_name is missing" in warning for warning in shown.warnings)

    def test_a_text_message_is_counted(self) -> None:
        shown = preview("İt is {{ contact.attributes.first_name | default: 'you' }}", someone())
        assert shown.segments and (shown.segments.number, shown.segments.encoding) == (1, "UCS-2")
        assert any("70 characters" in warning for warning in shown.warnings)
