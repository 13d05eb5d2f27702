"""What a track asks of templates, and whether those at hand can give it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, Protocol

from pydantic import JsonValue

from tracks import texts
from tracks.effects import Email, Sms
from tracks.flow import Flow
from tracks.model import Track
from tracks.problems import Problem, meant
from tracks.source import Path
from tracks.steps import CrmStep, MessageStep, Step, WebhookStep

TemplateKey = tuple[str, int | None]
"""A template's name, and the version a step pins, or None for the latest."""


class TemplateFacts(Protocol):
    """What a track needs to know of a template."""

    @property
    def kind(self) -> Literal["email", "sms", "block"]: ...
    @property
    def variables(self) -> frozenset[str]:
        """All that it declares."""
        ...

    @property
    def required(self) -> frozenset[str]:
        """Those without a default."""
        ...

    @property
    def unsubscribe(self) -> bool:
        """Whether its body offers the way out."""
        ...


def template_keys(track: Track) -> set[TemplateKey]:
    """The templates that the track sends."""
    messages = (message for step in track.walk() for message in messages_of(step))
    return {(message.template, message.version) for message in messages if message.template is not None}


def check_templates(track: Track, templates: Mapping[TemplateKey, TemplateFacts], name: str = "") -> list[Problem]:
    """What does not fit between a sound track and the templates known (see `template_keys`)."""
    file = name or track.track
    problems: list[Problem] = []
    for step in track.walk():
        said = [sentence for message in messages_of(step) for sentence in _check_message(message, templates)]
        said += _check_texts(step)
        problems.extend(Problem(file, 0, step.id, sentence) for sentence in said)
    return problems


def check_template_use(track: Track, template: str, facts: TemplateFacts) -> list[tuple[str, str]]:
    """What does not fit between a track and the newest version of one template: the step's id and a sentence."""
    return [
        (step.id, words)
        for step in track.walk()
        for message in messages_of(step)
        if message.template == template and message.version is None
        for words in _check_message(message, {(template, None): facts})
    ]


def messages_of(step: Step) -> tuple[Email | Sms, ...]:
    """The messages of which a step may send one."""
    return step.messages if isinstance(step, MessageStep) else ()


def _check_message(message: Email | Sms, templates: Mapping[TemplateKey, TemplateFacts]) -> list[str]:
    if message.template is None:
        text = message.text if isinstance(message, Sms) else None
        return [f"text: {said}" for said in texts.problems(text or "", message.variables, told=True)]
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
    problems = [
        f"template '{message.template}' needs the variable '{name}'; give it in variables"
        for name in sorted(facts.required - set(message.variables))
    ]
    if kind == "email" and not facts.unsubscribe and not message.transactional:
        problems.append(
            f"template '{message.template}' shows no unsubscribe_url; only a transactional email may do without"
        )
    problems += [
        f"template '{message.template}' has no variable '{name}'" + meant(name, sorted(facts.variables))
        for name in sorted(set(message.variables) - facts.variables)
    ]
    return problems + _check_subject(message, facts)


def _check_subject(message: Email | Sms, facts: TemplateFacts) -> list[str]:
    """A subject in the track stands in for the template's: it may show the same variables."""
    if not isinstance(message, Email) or message.subject is None:
        return []
    known = facts.variables | set(message.variables)
    return [f"subject: {said}" for said in texts.problems(message.subject, known, told=True)]


def _check_texts(step: Step) -> list[str]:
    """Notes and payloads in the track itself may show the contact and the enrollment."""
    shown: list[tuple[str, JsonValue]] = []
    match step:
        case CrmStep(crm=crm):
            title = crm.task.title if crm.task else None
            shown = [("note", crm.note), ("task.title", title), ("fields", crm.fields)]
        case WebhookStep():
            shown = [("payload", step.webhook.payload)]
        case _:
            pass  # the texts of messages are judged with them
    problems: list[str] = []
    for where, text in ((where, text) for where, value in shown for text in _strings(value)):
        problems += [f"{where}: {problem}" for problem in texts.problems(text, ())]
    return problems


def _strings(value: JsonValue) -> Iterator[str]:
    """Every text in JSON-like data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, (dict, list)):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _strings(part)


def sender_problems(data: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """Messages of a track's data that no one is named as the sender of."""
    defaults = data.get("defaults")
    for path, message in _written(data):
        kind = str(path[-1])
        common = defaults.get(kind) if isinstance(defaults, dict) else None
        named = (part.get("from") for part in (message, common) if isinstance(part, dict))
        if all(sender is None for sender in named):
            yield path, f"has no sender: write from: {_SENDERS[kind]} here or in defaults.{kind}"


_SENDERS = {"email": "'Ada <ada@acme.test>'", "sms": "'+15005550006'"}


def _written(data: dict[str, Any]) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The messages in a track's data; their paths end in the channel."""
    for path, step in Flow(data.get("steps")).steps.items():
        places: list[tuple[Path, Any]] = [(path, step)]
        send = step.get("send")
        offers = send.get("channels") if isinstance(send, dict) else None
        places += [
            ((*path, "send", "channels", n), o) for n, o in enumerate(offers if isinstance(offers, list) else ())
        ]
        for place, holder in places:
            for kind in _SENDERS:
                if isinstance(holder, dict) and isinstance(holder.get(kind), dict):
                    yield (*place, kind), holder[kind]
