"""Reading a template: front matter, declarations, and the facts that publishing a track needs."""

from __future__ import annotations

import pytest

from tracks.content.templates.template import Template, TemplateProblems, parse_template, template_facts

GOOD = """---
kind: email
subject: Welcome
preheader: Three minutes
variables:
  cta: {default: Start}
  plan: {required: true}
  note:
---
<mjml><mj-body><mj-section><mj-column>
<mj-text>{{ cta }} {{ unsubscribe_url }}</mj-text>
</mj-column></mj-section></mj-body></mjml>
"""


def test_front_matter_and_body_are_read() -> None:
    template = parse_template(GOOD)
    assert (template.kind, template.subject, template.preheader) == ("email", "Welcome", "Three minutes")
    assert template.body.startswith("<mjml>")
    assert template.body_line == 10
    assert template.is_mjml


def test_facts_name_declared_and_required_variables() -> None:
    facts = template_facts(parse_template(GOOD))
    assert facts.variables == {"cta", "plan", "note"}
    assert facts.required == {"plan"}
    assert facts.unsubscribe


def test_a_template_survives_json() -> None:
    template = parse_template(GOOD)
    assert Template.model_validate_json(template.model_dump_json()) == template


def test_windows_line_ends_and_a_byte_order_mark_are_read() -> None:
    template = parse_template("\ufeff" + GOOD.replace("\n", "\r\n"))
    assert template.subject == "Welcome"


def test_dashes_in_the_body_do_not_end_the_front_matter_twice() -> None:
    assert parse_template("---\nkind: sms\n---\none\n---\ntwo\n").body == "one\n---\ntwo\n"


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("Hello", 1, "front matter"),
        ("---\nkind: [\n---\nx", 3, "not YAML"),
        ("---\n- kind\n---\nx", 1, "mapping"),
        ("---\nkind: fax\n---\nx", 2, "'email', 'sms' or 'block'"),
        ("---\nkind: email\n---\nx", 1, "needs a `subject`"),
        ("---\nkind: sms\nsubject: No\n---\nx", 3, "no `subject`"),
        ("---\nkind: sms\n---\n \n", 1, "body is empty"),
        ("---\nkind: sms\nbody: x\n---\nx", 1, "cannot hold `body`"),
        ("---\nkind: sms\ncolour: red\n---\nx", 3, "extra inputs"),
        ("---\nkind: sms\nvariables:\n  contact: {}\n---\nx", 4, "every message has"),
        ("---\nkind: sms\nvariables:\n  'Bad Name': {}\n---\nx", 4, "lower-case"),
        ("---\nkind: sms\nvariables:\n  a: {required: true, default: 1}\n---\nx", 4, "cannot be required"),
        ("---\nkind: sms\n---\n" + "x" * 200_001, 0, "more than 200,000"),
    ],
    ids=[
        "no front matter", "broken yaml", "not a mapping", "unknown kind", "no subject", "sms with subject",
        "empty body", "body as key", "unknown key", "reserved name", "bad name", "required with default", "too long",
    ],
)  # fmt: skip
def test_a_bad_template_is_refused_with_its_line(text: str, line: int, part: str) -> None:
    with pytest.raises(TemplateProblems) as caught:
        parse_template(text)
    assert any(problem.line == line and part in problem.message for problem in caught.value.problems), (
        caught.value.problems
    )


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(TemplateProblems) as caught:
        parse_template("---\nkind: sms\nsubject: x\nvariables:\n  contact:\n  Bad:\n---\n")
    assert len(caught.value.problems) == 4
