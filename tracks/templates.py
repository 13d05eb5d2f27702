"""What a track asks of templates, and whether those at hand can give it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tracks import texts
from tracks.flow import Flow
from tracks.model import Track
from tracks.problems import Problem, meant
from tracks.source import Path
from tracks.steps import Crm, CrmStep, Email, EmailStep, Sms, SmsStep, Step

TemplateKey = tuple[str, int | None]
"""A template's name, and the version a step pins, or None for the latest."""


@dataclass(frozen=True)
class TemplateFacts:
    """What a track needs to know of a template."""

    kind: Literal["email", "sms"]
    required: frozenset[str] = frozenset()
    """Variables without a default."""
    optional: frozenset[str] = frozenset()
    """Variables with one."""


def template_keys(track: Track) -> set[TemplateKey]:
    """The templates that the track sends."""
    return {(message.template, message.version) for _, message in _messages(track) if message.template is not None}


def check_templates(track: Track, templates: Mapping[TemplateKey, TemplateFacts], name: str = "") -> list[Problem]:
    """What does not fit between a sound track and the templates known (see `template_keys`)."""
    file = name or track.track
    problems: list[Problem] = []
    for step in track.walk():
        message = step.email if isinstance(step, EmailStep) else step.sms if isinstance(step, SmsStep) else None
        said = _check_message(message, templates) if message is not None else []
        said += _check_texts(step)
        problems.extend(Problem(file, 0, step.id, sentence) for sentence in said)
    return problems


def _messages(track: Track) -> Iterator[tuple[str, Email | Sms]]:
    for step in track.walk():
        if isinstance(step, EmailStep):
            yield step.id, step.email
        elif isinstance(step, SmsStep):
            yield step.id, step.sms


def _check_message(message: Email | Sms, templates: Mapping[TemplateKey, TemplateFacts]) -> list[str]:
    if message.template is None:
        return []
    kind = "email" if isinstance(message, Email) else "sms"
    facts = templates.get((message.template, message.version))
    if facts is None:
        if message.version is not None and any(known == message.template for known, _ in templates):
            return [f"template '{message.template}' has no version {message.version}"]
        known = sorted({known for (known, _), its in templates.items() if its.kind == kind})
        return [f"there is no template '{message.template}'" + meant(message.template, known)]
    if facts.kind != kind:
        return [f"template '{message.template}' is for {facts.kind}, not for {kind}"]
    problems = [
        f"template '{message.template}' needs the variable '{name}'; give it in variables"
        for name in sorted(facts.required - set(message.variables))
    ]
    known_variables: Collection[str] = facts.required | facts.optional
    for name in sorted(set(message.variables) - set(known_variables)):
        problems.append(
            f"template '{message.template}' has no variable '{name}'" + meant(name, sorted(known_variables))
        )
    return problems


def _check_texts(step: Step) -> list[str]:
    """Inline texts may show the contact, the enrollment, the event and the message's own variables."""
    shown: list[tuple[str, str | None, Collection[str]]] = []
    if isinstance(step, EmailStep):
        shown = [("subject", step.email.subject, ())]
    elif isinstance(step, SmsStep):
        shown = [("text", step.sms.text, step.sms.variables)]
    elif isinstance(step, CrmStep):
        crm: Crm = step.crm
        shown = [
            ("note", crm.note, ()),
            ("title", crm.task.title if crm.task else None, ()),
        ]
    problems: list[str] = []
    for where, text, own in shown:
        for name in sorted(texts.variables(text) - {*texts.ROOTS, *own}) if text else ():
            if where == "subject":
                continue  # the template's variables: known when it is checked
            problems.append(f"{where}: unknown variable '{name}'" + meant(name, [*texts.ROOTS, *own]))
    return problems


def sender_problems(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Messages of a track's data that no one is named as the sender of."""
    defaults = data.get("defaults")
    for path, step in Flow(data.get("steps")).steps.items():
        for kind, example in (
            ("email", "'Ada <ada@acme.test>'"),
            ("sms", "'+15005550006'"),
        ):
            message = step.get(kind)
            common = defaults.get(kind) if isinstance(defaults, dict) else None
            if isinstance(message, dict) and "from" not in {
                **(common if isinstance(common, dict) else {}),
                **message,
            }:
                yield (
                    (*path, kind),
                    f"has no sender: write from: {example} here or in defaults.{kind}",
                )
