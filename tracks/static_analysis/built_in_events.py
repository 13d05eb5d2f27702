"""The events that Perennial creates itself, and names that look like them.

Any other event comes from the user's own systems. A name with one of Perennial's prefixes that is similar to one of
its events is probably a typing mistake: a track would wait for it without end.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from tracks.model.date_entries import REACHED
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT
from tracks.runs.handoff_answers import EVENTS as HANDOFF_EVENTS
from tracks.shared.yaml_source import Path

OWN = (
    "email.sent", "email.delivered", "email.opened", "email.clicked", "email.bounced", "email.complained",
    "email.failed", "sms.sent", "sms.delivered", "sms.failed", "sms.clicked", "sms.replied", "contact.unsubscribed",
    "contact.consented", ENTERED, LEFT, GRADED, REACHED, "stripe.trial_ending", "stripe.subscription_started",
    "stripe.subscription_changed", "stripe.subscription_canceled", "stripe.invoice_paid", "stripe.payment_failed",
    "stripe.refunded", "crm.stage_changed", "crm.field_changed", "crm.task_completed", "crm.contact_deleted",
    *HANDOFF_EVENTS,
)  # fmt: skip
MADE_BY_SENDING: Mapping[str, tuple[str, ...]] = {
    "email": ("email.sent", "email.delivered", "email.bounced", "email.failed"),
    "sms": ("sms.sent", "sms.delivered", "sms.failed"),
}
"""The events that follow each message of a channel without any action of the contact."""
PREFIXES = tuple(dict.fromkeys(name.partition(".")[0] for name in OWN))
_DATA = ("variables", "properties", "fields", "payload", "attributes")
"""Keys of a track below which the author's own data is written."""


def misnamed(data: Any) -> Iterator[tuple[Path, str]]:
    """Events in a track's data whose names are nearly those of Perennial's own events: the path, and the right name."""
    for path, name in _named(data, ()):
        if foreign(name) and (close := _near(name)):
            yield path, f"event: there is no event '{name}'; did you mean '{close}'?"


def strange(data: Any) -> Iterator[tuple[Path, str]]:
    """Events that look like Perennial's own but are not: only the author's systems can send them."""
    for path, name in _named(data, ()):
        if name not in OWN and not foreign(name) and (close := _alike(name)):
            yield path, f"event: Perennial never makes '{name}', so you have to send it; did you mean '{close}'?"
        elif foreign(name) and not _near(name):
            prefix = name.partition(".")[0]
            own = ", ".join(known for known in OWN if known.startswith(f"{prefix}."))
            yield path, f"event: Perennial never makes '{name}', so you have to send it; its own are {own}"


def foreign(name: str) -> bool:
    """Whether a name has one of Perennial's prefixes but is none of its events."""
    return name not in OWN and "." in name and name.partition(".")[0].lower() in PREFIXES


def _near(name: str) -> str | None:
    prefix, _, word = name.lower().partition(".")
    same = {own.partition(".")[2]: own for own in OWN if own.startswith(f"{prefix}.")}
    if word in same:
        return same[word]
    close = get_close_matches(word, same, 1, 0.75)
    return same[close[0]] if close else None


def _alike(name: str) -> str | None:
    """Perennial's own event that a name without the prefix resembles (`email_clicked`, `emails.clicked`)."""
    letters = {own.replace(".", ""): own for own in OWN}
    close = get_close_matches(re.sub(r"[\W_]", "", name.lower()), letters, 1, 0.9)
    return letters[close[0]] if close else None


def _named(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key == "event" and isinstance(value, str):
                yield (*path, key), value
            elif key not in _DATA:
                yield from _named(value, (*path, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _named(value, (*path, index))
