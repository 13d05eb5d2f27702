"""Every Liquid text of a track is checked when the track is published, in every field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel, JsonValue

from tests.tracks.examples import HEAD, with_steps
from tracks.checks.track_document import read_track, read_track_data
from tracks.checks.track_texts import text_problems
from tracks.model.steps.effects import Changes, Crm, Email, Enrolment, Lead, Sms, Webhook
from tracks.model.steps.steps import STEP_TYPES
from tracks.static_analysis.model_fields import is_liquid

PARTS: dict[str, type[BaseModel]] = {
    "email": Email, "sms": Sms, "crm": Crm, "set": Changes, "enroll": Enrolment, "webhook": Webhook,
    "handoff": Lead,
}  # fmt: skip
NEEDED: dict[str, dict[str, Any]] = {
    "email": {"template": "hello"},
    "sms": {"template": "hello"},
    "crm": {},
    "set": {},
    "enroll": {"track": "on"},
    "webhook": {"url": "https://a.test"},
    "handoff": {"to": "sales", "reason": "Call", "due": "1d", "when_none": "skip"},
}
PLACE = ("attribute", "property")
"""Where the address of somebody else is found."""
WORDS = {
    "email": {"template", "from", "reply_to", "topic", "unless", "on_unknown", "event", "where", "weekdays", *PLACE},
    "sms": {"template", "from", "topic", "unless", "on_unknown", "event", "where", "weekdays", *PLACE},
    "crm": {"stage", "owner"},
    "set": set(),
    "enroll": {"track"},
    "webhook": {"url"},
    "handoff": {"to", "score", "grade", "explore"},
}
"""Text fields that are not Liquid. A new field must be in one of the two lists."""
WITH_ITS_TEMPLATE = ("email", "subject")
"""Checked where the template's variables are known (`tracks.checks.references.template_use`)."""


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)


def fields_of(model: type[BaseModel], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, field in model.model_fields.items():
        here = (*path, field.alias or name)
        yield here, field
        if not is_liquid(field):
            for inner in models_in(field.annotation):
                yield from fields_of(inner, here)


def holds_text(annotation: Any) -> bool:
    return annotation in (str, JsonValue) or any(holds_text(part) for part in get_args(annotation))


LIQUID = [
    (verb, path, field)
    for verb, model in PARTS.items()
    for path, field in fields_of(model)
    if is_liquid(field) and (verb, *path) != WITH_ITS_TEMPLATE
]


def written(verb: str, path: tuple[str, ...], field: Any, text: str) -> dict[str, Any]:
    """A track with this text in that field."""
    mapping = "dict" in str(field.annotation)
    value: Any = {"x": text} if mapping else text
    for key in reversed(path):
        value = {key: value}
    needed = {} if path == ("text",) else NEEDED[verb]
    return {"track": "a", "steps": [{"id": "s", verb: {**needed, **value}}]}


def complaints(data: dict[str, Any]) -> list[str]:
    read = read_track_data(data)
    assert read.pieces, read.problems
    return [words for _, words in text_problems(read.pieces)]


def test_every_verb_that_is_told_texts_is_looked_at() -> None:
    silent = {"wait", "wait_until", "wait_date", "wait_for", "branch", "split", "repeat", "break", "exit"}
    assert set(STEP_TYPES) == PARTS.keys() | {"send"} | silent
    assert len(LIQUID) >= 9


def test_every_field_of_text_is_liquid_or_known_to_be_none() -> None:
    for verb, model in PARTS.items():
        for path, field in fields_of(model):
            if holds_text(field.annotation) and not is_liquid(field) and not list(models_in(field.annotation)):
                assert path[-1] in WORDS[verb], f"{verb}.{'.'.join(path)}: is it Liquid?"


@pytest.mark.parametrize(("verb", "path", "field"), LIQUID, ids=lambda value: str(value)[:30])
@pytest.mark.parametrize(
    "text",
    ["{{ foo }}", "{{ contact.id | nofilter }}", "{% if contact %}x", "{{ event.name }}", "{{ contact.name }}", "{{"],
)
def test_what_no_text_can_show_is_refused_in_every_field(
    verb: str, path: tuple[str, ...], field: Any, text: str
) -> None:
    data = written(verb, path, field, text)
    read = read_track_data(data)
    shapes = [problem for problem in read.problems if "sender" not in problem.message]
    assert shapes or complaints(data), "neither the model nor the texts' own check says anything"


@pytest.mark.parametrize(("verb", "path", "field"), LIQUID, ids=lambda value: str(value)[:30])
def test_only_messages_show_links(verb: str, path: tuple[str, ...], field: Any) -> None:
    found = complaints(written(verb, path, field, "{{ unsubscribe_url }}"))
    assert bool(found) == (verb not in ("email", "sms"))


def said(step: str) -> list[str]:
    read = read_track(with_steps(f"- {{id: a, {step}}}"), "t.yaml")
    assert not read.problems
    return [words for _, words in text_problems(read.pieces)]


@pytest.mark.parametrize(
    "step",
    [
        "set: {attributes: {x: 'Hi {{ contact.attributes.name }}', y: '{{ contact.attributes.n | append: \"\" }}'}}",
        'set: {attributes: {x: \'{{ "now" | date: "%Y" | plus: 1 }}-03-01\'}}',
        "set: {add: {score: 10, spent: '{{ enrollment.properties.total | default: 0 }}'}}",
        "set: {numbers: {left: '{{ contact.attributes.seats | minus: 1 }}'}}",
        "sms: {text: 'Hi {{ name }}', variables: {name: '{{ contact.attributes.n | default: \"you\" }}'}}",
    ],
)
def test_sound_texts_pass(step: str) -> None:
    assert said(step) == []


@pytest.mark.parametrize(
    ("step", "words"),
    [
        ("set: {attributes: {score: '{{ contact.attributes.score | plus: 10 }}'}}", "write `add: {name: 10}`"),
        ("set: {attributes: {n: ' {{ contact.attributes.list | size }}'}}", "is no number to conditions"),
        ("set: {add: {spent: '{{ enrollment.properties.total }}'}}", "may be missing: write `| default:`"),
        ("sms: {template: x, variables: {n: '{{ contact.attributes.n }}'}}", "variables.n: `contact.attributes.n` may"),
    ],
)
def test_traps_are_named(step: str, words: str) -> None:
    (found,) = said(step)
    assert words in found


def test_a_step_that_is_broken_hides_nothing_of_the_others() -> None:
    text = (
        HEAD
        + """\
  - {id: a, wait: 2, crm: {note: '{{ one }}'}}
  - {id: b, crm: {note: '{{ two }}', stagee: x}}
  - id: c
    branch: nothing
  - id: d
    send: {channels: [{sms: {text: '{{ three }}'}}, {email: {template: 7}}]}
"""
    )
    read = read_track(text, "t.yaml")
    found = read.at(text_problems(read.pieces))
    assert [(one.line, one.step, one.message.partition(";")[0]) for one in found] == [
        (6, "a", "note: unknown variable 'one'"),
        (7, "b", "note: unknown variable 'two'"),
        (11, "d", "text: unknown variable 'three'"),
    ]
    assert len(read.problems) >= 4
