"""Languages: which variant a contact reads, and what publishing refuses."""

from __future__ import annotations

import pytest

from tests.tracks.content.templates.template_examples import ENGLISH, GERMAN, someone, whole
from tracks.content.checks.template_check import check_template
from tracks.content.rendering.render import render_email
from tracks.content.templates.template import TemplateProblems, parse_template, template_facts


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
