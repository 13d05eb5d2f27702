"""The effects in a track's data, each read on its own: an error in one does not hide the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tracks.model.steps.effects import Changes, Crm, Email, Enrolment, Lead, Sms, Webhook
from tracks.model.values import Model
from tracks.shared.yaml_source import Path
from tracks.static_analysis.flow import Flow

Part = Email | Sms | Crm | Changes | Enrolment | Webhook | Lead
_VERBS: Mapping[str, type[Part]] = {
    "email": Email, "sms": Sms, "crm": Crm, "set": Changes, "enroll": Enrolment, "webhook": Webhook,
    "handoff": Lead,
}  # fmt: skip
MESSAGES = ("email", "sms")


@dataclass(frozen=True, slots=True)
class EffectPart:
    """One effect: what a step tells an activity to do."""

    path: Path
    """The path of the part in the track's data."""
    step: str
    """The step's id; empty if it has none."""
    part: Part
    unread: frozenset[str] = frozenset()
    """Keys that have errors; they were left out so that the rest could be read."""


def effect_parts_of(data: Any) -> Iterator[EffectPart]:
    """Every part of a track's data that can be read, in the order written."""
    for path, verb, step, told in written(data):
        part, unread = _read(_VERBS[verb], told)
        if part is not None:
            yield EffectPart(path, step, part, unread)


def written(data: Any) -> Iterator[tuple[Path, str, str, Any]]:
    """The parts as written: the path, the verb, the step's id, and the value of the verb."""
    for path, step in Flow(data.get("steps") if isinstance(data, Mapping) else None).steps.items():
        name = step["id"] if isinstance(step.get("id"), str) else ""
        send = step.get("send")
        offers = send.get("channels") if isinstance(send, Mapping) else None
        for verb in _VERBS:
            if verb in step:
                yield (*path, verb), verb, name, step[verb]
        for index, offer in enumerate(offers if isinstance(offers, list | tuple) else ()):
            for verb in MESSAGES:
                if isinstance(offer, Mapping) and verb in offer:
                    yield (*path, "send", "channels", index, verb), verb, name, offer[verb]


def _read(model: type[Part], told: Any) -> tuple[Part | None, frozenset[str]]:
    if not isinstance(told, Mapping):
        return None, frozenset()
    left = dict(told)
    while True:
        try:
            return _validated(model, left), frozenset(told.keys() - left.keys())
        except ValidationError as error:
            broken = {problem["loc"][0] for problem in error.errors(include_url=False) if problem["loc"]}
            if not broken & left.keys():
                return None, frozenset()
            left = {key: value for key, value in left.items() if key not in broken}


def _validated(model: type[Model], told: Any) -> Any:
    return model.model_validate(told)
