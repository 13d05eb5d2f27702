"""Check that the templates a track uses exist and fit its messages."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, Literal, Protocol

from tracks.model import liquid_texts
from tracks.model.steps.effects import Email, Sms
from tracks.model.steps.steps import MessageStep, Step
from tracks.model.track import Track
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.static_analysis.effect_parts import MESSAGES, EffectPart, written

Found = Iterator[tuple[Path, str]]
"""The path in a track's data, and what is wrong there."""

TemplateKey = tuple[str, int | None]
"""A template's name, and the version a step pins, or None for the latest."""


class TemplateFacts(Protocol):
    """What the checks of a track need to know about a template."""

    @property
    def kind(self) -> Literal["email", "sms", "block"]: ...
    @property
    def variables(self) -> frozenset[str]:
        """All variables that it declares."""
        ...

    @property
    def required(self) -> frozenset[str]:
        """The variables without a default."""
        ...

    @property
    def unsubscribe(self) -> bool:
        """Whether its body shows the unsubscribe link."""
        ...


def template_keys(track: Track) -> set[TemplateKey]:
    """The templates that a valid track sends."""
    messages = (message for step in track.walk() for message in messages_of(step))
    return {(message.template, message.version) for message in messages if message.template is not None}


def keys_of(pieces: Iterable[EffectPart]) -> set[TemplateKey]:
    """The templates that the readable parts of a track name (a part with errors may be missing)."""
    messages = (piece.part for piece in pieces if isinstance(piece.part, Email | Sms))
    return {(message.template, message.version) for message in messages if message.template is not None}


def template_problems(
    pieces: Iterable[EffectPart], templates: Mapping[TemplateKey, TemplateFacts], unreadable: Container[str] = ()
) -> Found:
    """The mismatches between a track's messages and the known templates (see `keys_of`).

    A template in `unreadable` has problems of its own; this check skips it.
    """
    for piece in pieces:
        message = piece.part
        if isinstance(message, Email | Sms) and message.template is not None and message.template not in unreadable:
            for words in _check_message(message, templates, piece.unread):
                yield piece.path, words


def check_template_use(track: Track, template: str, facts: TemplateFacts) -> list[tuple[str, str]]:
    """The mismatches between a track and the newest version of one template: a step's id and a sentence each."""
    return [
        (step.id, words)
        for step in track.walk()
        for message in messages_of(step)
        if message.template == template and message.version is None
        for words in _check_message(message, {(template, None): facts})
    ]


def messages_of(step: Step) -> tuple[Email | Sms, ...]:
    """The messages of a step; a `send` step sends only one of them."""
    return step.messages if isinstance(step, MessageStep) else ()


def _check_message(
    message: Email | Sms, templates: Mapping[TemplateKey, TemplateFacts], unread: frozenset[str] = frozenset()
) -> list[str]:
    if message.template is None:
        return []  # its text is checked with the other texts
    kind = "email" if isinstance(message, Email) else "sms"
    facts = templates.get((message.template, message.version))
    if facts is None:
        if message.version is not None and any(known == message.template for known, _ in templates):
            return [f"template '{message.template}' has no version {message.version}"]
        known = sorted({known for (known, _), its in templates.items() if its.kind == kind})
        return [f"there is no template '{message.template}'" + meant(message.template, known)]
    if facts.kind != kind:
        what = "a block, not" if facts.kind == "block" else f"for {facts.kind}, not for"
        return [f"template '{message.template}' is {what} {kind}"]
    if unread & {"version", "variables", "transactional", "to"}:
        return []  # one of these fields has an error: the template's version or its variables are not known
    problems = [
        f"template '{message.template}' needs the variable '{name}'; give it in variables"
        for name in sorted(facts.required - set(message.variables))
    ]
    if kind == "email" and not facts.unsubscribe and not message.transactional and message.to is None:
        problems.append(
            f"template '{message.template}' shows no unsubscribe_url; only a transactional email may do without"
        )
    problems += [
        f"template '{message.template}' has no variable '{name}'" + meant(name, sorted(facts.variables))
        for name in sorted(set(message.variables) - facts.variables)
    ]
    return problems + _check_subject(message, facts)


def _check_subject(message: Email | Sms, facts: TemplateFacts) -> list[str]:
    """A subject in the track replaces the template's subject, and may use the same variables."""
    if not isinstance(message, Email) or message.subject is None:
        return []
    known = facts.variables | set(message.variables)
    return [f"subject: {said}" for said in liquid_texts.problems(message.subject, known, told=True)]


def sender_problems(data: dict[str, Any]) -> Found:
    """The messages in a track's data that have no sender."""
    defaults = data.get("defaults")
    for path, kind, _, message in written(data):
        if kind not in MESSAGES or not isinstance(message, dict):
            continue
        common = defaults.get(kind) if isinstance(defaults, dict) else None
        named = (part.get("from") for part in (message, common) if isinstance(part, dict))
        if all(sender is None for sender in named):
            yield path, f"has no sender: write from: {_SENDERS[kind]} here or in defaults.{kind}"


_SENDERS = {"email": "'Ada <ada@acme.test>'", "sms": "'+15005550006'"}
