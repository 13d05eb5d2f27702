"""Texts that read the event which a wait matched: only behind a wait for an event, and with a default in messages."""

from __future__ import annotations

import pytest

from tests.tracks.examples import problems, track, with_steps
from tracks.checks.track_document import read_track
from tracks.checks.track_texts import text_problems
from tracks.compiler.compiler import compile_track
from tracks.content.checks.template_check import check_text
from tracks.runs.program import Effect, Handoff

SHIPPED = "- {id: shipped, wait_for: {event: order.shipped, within: 3d}}\n"
READS = "'{{ event.properties.number | default: \"\" }}'"
STEPS = [
    f"sms: {{text: {READS}}}",
    f"email: {{template: x, subject: {READS}}}",
    f"email: {{template: x, variables: {{number: {READS}}}}}",
    f"send: {{channels: [{{sms: {{text: {READS}}}}}, {{email: {{template: x}}}}]}}",
    f"crm: {{note: {READS}}}",
    f"crm: {{task: {{title: {READS}}}}}",
    f"set: {{attributes: {{x: {READS}}}}}",
    "set: {add: {x: '{{ event.properties.total | default: 0 }}'}}",
    f"enroll: {{track: other, properties: {{x: {READS}}}}}",
    f"webhook: {{url: 'https://x.test', payload: {{x: [{READS}]}}}}",
    f"handoff: {{to: sales, reason: {READS}, due: 1d, when_none: skip}}",
]


def said(text: str) -> list[str]:
    read = read_track(with_steps(text), "t.yaml")
    return [words for _, words in text_problems(read.pieces)]


def effects(text: str) -> list[bool]:
    return [one.event for one in compile_track(track(text)).program.code if isinstance(one, Effect | Handoff)]


@pytest.mark.parametrize("step", STEPS)
def test_behind_a_wait_each_text_may_read_it_and_the_activity_is_told_which(step: str) -> None:
    text = f"{SHIPPED}- {{id: use, {step}}}\n- {{id: not, crm: {{note: 'event'}}}}"
    assert said(text) == []
    assert effects(text) == [True, False]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("before", ["", "- {id: x, wait_for: {condition: contact.has_email, within: 3d}}\n"])
def test_without_a_wait_for_an_event_before_it_is_refused(step: str, before: str) -> None:
    (problem,) = problems(with_steps(f"{before}- {{id: use, {step}}}\n{SHIPPED}"))
    assert problem.endswith("reads `event`, but no wait_for or handoff comes before this step")


def test_the_answer_of_sales_is_an_event_too_and_a_handoff_reads_for_itself_only() -> None:
    way = f"[{{id: told, crm: {{note: {READS}}}}}]"
    text = f"- {{id: sell, handoff: {{to: sales, reason: Call, due: 1d, when_none: skip, rejected: {way}}}}}"
    assert effects(text) == [False, True]


def test_within_the_wait_and_in_a_later_round_it_is_known() -> None:
    text = (
        "- id: again\n  repeat:\n    times: 3\n    steps:\n"
        f"      - {{id: note, crm: {{note: {READS}}}}}\n"
        f"      - {{id: shipped, wait_for: {{event: x, within: 1d, then: [{{id: use, crm: {{note: {READS}}}}}]}}}}\n"
    )
    assert effects(text) == [True, True]


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("sms: {text: 'No. {{ event.properties.number }}'}", "`event.properties.number` may be missing"),
        ("crm: {note: '{{ event.number }}'}", "`event.number` does not exist"),
    ],
)
def test_mistakes_in_what_is_read_are_named(step: str, complaint: str) -> None:
    (words,) = said(f"{SHIPPED}- {{id: use, {step}}}")
    assert complaint in words


def test_a_template_is_told_to_take_a_variable() -> None:
    (problem,) = check_text("{{ event.properties.number }}")
    assert "variables: {number: '{{ event.properties.number }}'}" in problem.message
    assert check_text("{{ event.properties.number }}", ("event",), told=True) == []


def test_a_variable_of_that_name_is_something_else() -> None:
    assert problems(with_steps("- {id: a, sms: {text: 'At {{ event }}', variables: {event: our fair}}}")) == []
