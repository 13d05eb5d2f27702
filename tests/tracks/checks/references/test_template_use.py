from dataclasses import dataclass
from typing import Literal

import pytest

from tests.tracks.examples import data_problems, track, with_steps
from tracks.checks.references.template_use import TemplateKey, template_keys, template_problems
from tracks.checks.track_document import read_track
from tracks.checks.track_texts import text_problems


@dataclass(frozen=True)
class Facts:
    kind: Literal["email", "sms"] = "email"
    variables: frozenset[str] = frozenset({"cta", "name"})
    required: frozenset[str] = frozenset({"name"})
    unsubscribe: bool = True


KNOWN: dict[TemplateKey, Facts] = {
    ("hello", None): Facts(),
    ("hello", 2): Facts(),
    ("receipt", None): Facts(unsubscribe=False, required=frozenset()),
    ("ping", None): Facts("sms", frozenset(), frozenset()),
}
NAMES = "known here: brand, confirm_url, contact, enrollment, event, preferences_url, unsubscribe_url"
NO_LINKS = "known here: contact, enrollment, event"
NO_WAY_OUT = "template 'receipt' shows no unsubscribe_url; only a transactional email may do without"


@pytest.mark.parametrize(
    ("step", "complaint"),
    [
        ("email: {template: hello, variables: {name: x}}", None),
        ("email: {template: hello, version: 2, variables: {name: x, cta: y}}", None),
        ("email: {template: receipt, transactional: true}", None),
        ("sms: {template: ping}", None),
        ("sms: {text: 'Hi {{ contact.attributes.x | default: 1 }}, {{ code }}', variables: {code: 7}}", None),
        ("email: {template: helo}", "there is no template 'helo'; did you mean 'hello'?"),
        ("email: {template: hello, version: 9}", "template 'hello' has no version 9"),
        ("sms: {template: hello}", "template 'hello' is for email, not for sms"),
        ("email: {template: hello}", "template 'hello' needs the variable 'name'; give it in variables"),
        (
            "email: {template: hello, variables: {name: x, ctta: y}}",
            "template 'hello' has no variable 'ctta'; did you mean 'cta'?",
        ),
        ("email: {template: receipt}", NO_WAY_OUT),
        ("send: {channels: [{sms: {template: ping}}, {email: {template: hello, variables: {name: x}}}]}", None),
        ("send: {channels: [{sms: {template: ping}}, {email: {template: receipt}}]}", NO_WAY_OUT),
        (
            "send: {channels: [{email: {template: receipt, transactional: true}}, {sms: {text: '{{ a }}'}}]}",
            "text: unknown variable 'a'; " + NAMES,
        ),
        ("sms: {text: 'Hi {{ contat.id }}'}", "text: unknown variable 'contat'; did you mean 'contact'?"),
        ("crm: {note: '{{ events.name }}'}", "note: unknown variable 'events'; did you mean 'event'?"),
        ("crm: {task: {title: '{{ x }}'}}", "task.title: unknown variable 'x'; " + NO_LINKS),
        ("crm: {fields: {a: ['{{ contact.id']}}", "fields.a.0: is not Liquid: expected '}}', found end of file"),
        ("webhook: {url: 'https://a.t', payload: {a: ['{{ c }}']}}", "payload.a.0: unknown variable 'c'; " + NO_LINKS),
    ],
)  # fmt: skip
def test_a_track_and_its_templates_fit_or_the_step_is_named(step: str, complaint: str | None) -> None:
    read = read_track(with_steps(f"- {{id: a, {step}}}"), "t.yaml")
    found = read.at([*template_problems(read.pieces, KNOWN), *text_problems(read.pieces)])
    assert [str(problem) for problem in found] == ([f"t.yaml:6: step 'a': {complaint}"] if complaint else [])


def test_the_templates_of_a_track_are_known_with_their_pins_at_any_depth() -> None:
    written = track("""
        - {id: a, email: {template: hello}}
        - id: b
          branch: [{when: contact.has_phone, steps: [{id: c, sms: {template: ping}}]}]
          else: [{id: d, email: {template: hello, version: 2}}, {id: e, sms: {text: hi}}]
        - id: f
          send: {channels: [{sms: {text: hi}}, {email: {template: offer}}]}
          failed: {steps: [{id: g, email: {template: sorry}}]}
    """)
    assert template_keys(written) == {("hello", None), ("ping", None), ("hello", 2), ("offer", None), ("sorry", None)}


def test_each_message_of_a_send_needs_a_sender() -> None:
    send = {"channels": [{"sms": {"text": "hi"}}, {"email": {"template": "hello", "from": "a@b.test"}}]}
    assert data_problems({"track": "a", "steps": [{"id": "x", "send": send}]}) == [
        "track: step 'x': has no sender: write from: '+15005550006' here or in defaults.sms"
    ]
