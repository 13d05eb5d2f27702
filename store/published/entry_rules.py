"""A track's entry and re-entry rules, as the table `track` stores them for the newest version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from tracks.model.segment_changes import ENTERED, of_segment
from tracks.model.sending import Lately
from tracks.model.track import MAX_AGE
from tracks.model.values import PUBLISHED
from tracks.shared.personal_ids import looks_personal, only_digits
from tracks.time.durations import format_duration, parse_duration

MAX_KEY = 128
_MAX_EXACT = 1 << 53
"""Up to this number every JSON library reads a whole number in the same way, even if it is written as 12.0."""


@dataclass(frozen=True, slots=True)
class NoKey:
    """Why an enrollment of a track with one run per object has no key. `why` does not quote the value."""

    reason: Literal["no-key", "bad-key"]
    why: str


@dataclass(frozen=True, slots=True)
class Reentry:
    """Who may enter again: never, always, after a time since the last run ended, or once per value of a property.

    `seconds` is the time of `after`; with `per`, 0 means that each value may enter once. `restart`: an entry event ends
    the live run and begins a new one.
    """

    kind: Literal["never", "always", "after", "per"] = "never"
    seconds: float = 0.0
    property: str = ""
    restart: bool = False

    def __str__(self) -> str:
        after = f"after {format_duration(timedelta(seconds=self.seconds))}" if self.seconds else ""
        named = f"per {self.property}" if self.kind == "per" else "" if self.kind == "after" else self.kind
        return ", ".join(part for part in (named, after, "restart" if self.restart else "") if part)

    def again(self) -> float | None:
        """Seconds after the end of a run until the same contact and key may enter again; None: never."""
        if self.kind == "always":
            return 0.0
        return self.seconds if self.kind == "after" or (self.kind == "per" and self.seconds) else None

    def key(self, given: str | None, properties: Mapping[str, Any]) -> str | NoKey:
        """The key of the enrollment: empty where the track allows one run at a time.

        A value that looks like a person's address or phone number is refused, because keys are part of workflow ids.
        Digits alone are accepted: the track says that the property identifies an object.
        """
        if self.kind != "per":
            return ""
        if given:
            return given
        value = properties.get(self.property)
        if value is None or (isinstance(value, str) and not value.strip()):
            return NoKey("no-key", f"the property {self.property} is missing")
        if isinstance(value, float) and value.is_integer() and abs(value) <= _MAX_EXACT:
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            return NoKey("bad-key", f"the property {self.property} is no text and no whole number")
        key = str(value)
        if len(key) > MAX_KEY:
            return NoKey("bad-key", f"the property {self.property} has more than {MAX_KEY} characters")
        if not only_digits(key) and (why := looks_personal(key)):
            return NoKey("bad-key", f"the property {self.property} {why}")
        return key


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that decide whether a contact may enter a track."""

    reentry: Reentry = Reentry()
    entry_event: str | None = None
    entry_where: str | None = None
    entry_unless: str | Lately | None = None
    entry_max_age: timedelta | None = None
    """None: events of any age, as in tracks that were published before this limit existed."""

    def to_json(self) -> dict[str, Any]:
        """The rules as stored in `track.rules`.

        Keys that later releases added are written only where they are used. During a rolling deployment an older
        release reads the same rows, and it ignores keys that it does not know.
        """
        reentry = {"kind": self.reentry.kind, "seconds": self.reentry.seconds, "property": self.reentry.property}
        data: dict[str, Any] = {
            "reentry": reentry,
            "entry_event": self.entry_event,
            "entry_where": self.entry_where,
        }
        if self.reentry.restart:
            data["restart"] = True
        if self.entry_unless is not None:
            unless = self.entry_unless
            data["entry_unless"] = unless if isinstance(unless, str) else unless.model_dump(mode="json")
        if self.entry_max_age is not None:
            data["entry_max_age"] = self.entry_max_age.total_seconds()
        return data


def rules_from_json(data: Mapping[str, Any]) -> Rules:
    """Read what `Rules.to_json` of any release wrote."""
    unless, age = data.get("entry_unless"), data.get("entry_max_age")
    return Rules(
        Reentry(**data["reentry"], restart=data.get("restart", False)),
        data["entry_event"],
        data["entry_where"],
        Lately.model_validate(unless, context=PUBLISHED) if isinstance(unless, Mapping) else unless,
        None if age is None else timedelta(seconds=age),
    )


def rules_of(track: Mapping[str, Any]) -> Rules:
    """The rules in a track's canonical data (`tracks.checks.track_document.track_to_data`), at publishing."""
    entry = track.get("entry") or {}
    segment = entry.get("segment")
    event, where = entry.get("event"), entry.get("where")
    if segment is not None:
        event, where = ENTERED, of_segment(segment, where)
    unless, age = entry.get("unless"), entry.get("max_age")
    return Rules(
        _reentry(track.get("reentry", "never")),
        event,
        where,
        Lately.model_validate(unless, context=PUBLISHED) if isinstance(unless, Mapping) else unless,
        parse_duration(age) if age is not None else MAX_AGE if entry else None,
    )


def _reentry(rule: Any) -> Reentry:
    if not isinstance(rule, Mapping):
        return Reentry("always") if rule == "always" else Reentry()
    seconds = parse_duration(str(rule["after"])).total_seconds() if "after" in rule else 0.0
    restart = bool(rule.get("restart", False))
    if "per" in rule:
        return Reentry("per", seconds, str(rule["per"]), restart)
    return Reentry("after" if seconds else "always", seconds, restart=restart)
