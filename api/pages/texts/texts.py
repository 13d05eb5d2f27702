"""What the pages that contacts open say, in one language each, and which of them a contact gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from store.schema.rows import Channel

Value = TypeVar("Value")


@dataclass(frozen=True)
class Texts:
    """One language. `{topic}`, `{date}` and `{sender}` stand for what their names say."""

    language: str
    right_to_left: bool
    title: str
    intro: str
    needed: str
    """That messages which are no advertising may still come."""
    channel: Mapping[Channel, str]
    receive: Mapping[Channel, str]
    """The box for the channel as a whole."""
    topics: str
    pending: str
    stopped_by_word: str
    """Texts were stopped by STOP, which only START ends."""
    blocked: str
    """Nothing goes to this address, and this page cannot change that."""
    save: str
    leave: str
    leave_channel: Mapping[Channel, str]
    leave_topic: Mapping[Channel, str]
    pause_title: str
    pause: str
    pause_hint: str
    paused: str
    resume: str
    all_off_title: str
    all_off: str
    all_off_hint: str
    left: str
    left_channel: Mapping[Channel, str]
    left_topic: Mapping[Channel, str]
    saved: str
    saved_hint: str
    resumed: str
    resumed_hint: str
    off: str
    off_hint: str
    confirm_title: str
    confirm_text: str
    confirm: str
    confirmed: str
    confirmed_text: str
    nothing_to_confirm: str
    nothing_to_confirm_text: str
    unknown: str
    unknown_text: str
    why_title: str
    why_topic: Mapping[Channel, str]
    why_channel: Mapping[Channel, str]
    why_agreed: str
    """That the contact has said yes, and when."""
    why_not_left: str
    """That the contact has said nothing against it, where no yes is needed."""
    to_preferences: str
    to_website: str


def isolated(name: str) -> str:
    """A name within a sentence of another language: each keeps its own direction (Unicode's isolates)."""
    return f"\N{FIRST STRONG ISOLATE}{name}\N{POP DIRECTIONAL ISOLATE}"


def wanted(locale: str | None, accept_language: str) -> list[str]:
    """The languages that a contact wants, best first: their own locale, else what their browser asks for."""
    if locale:
        return [locale]
    ranked: list[tuple[float, str]] = []
    for part in accept_language[:500].split(","):
        tag, _, parameter = part.strip().partition(";")
        quality = parameter.strip().removeprefix("q=")
        try:
            rank = float(quality) if quality else 1.0
        except ValueError:
            continue
        if tag and tag != "*" and rank > 0:
            ranked.append((rank, tag))
    return [tag for _, tag in sorted(ranked, key=lambda it: -it[0])]


def best(available: Mapping[str, Value], tags: list[str], fallback: Value) -> Value:
    """What is there in the first of these languages that anything is there in, whichever region it is of."""
    by_tag = {tag.lower(): value for tag, value in available.items()}
    for tag in tags:
        parts = tag.lower().replace("_", "-").split("-")
        for length in range(len(parts), 0, -1):
            if (found := by_tag.get("-".join(parts[:length]))) is not None:
                return found
        for known, value in by_tag.items():
            if known.split("-")[0] == parts[0]:
                return value
    return fallback
