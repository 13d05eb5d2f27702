"""Blocks: which of its choices a contact reads, and what publishing refuses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.tracks.content.templates.template_examples import ENGLISH, someone, whole
from tracks.content.checks.template_check import check_template
from tracks.content.rendering.render import render_email, render_sms
from tracks.content.templates.template import TemplateProblems, parse_template
from tracks.content.templates.template_model import Template


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
