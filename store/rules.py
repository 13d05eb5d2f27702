"""A track's entry and re-entry rules, as the tables keep them beside the newest version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from tracks.durations import format_duration, parse_duration
from tracks.identifiers import looks_personal

MAX_KEY = 128


@dataclass(frozen=True, slots=True)
class Reentry:
    """Who may run again: never, always, after a time since the last run ended, or once per a property's value."""

    kind: Literal["never", "always", "after", "per"] = "never"
    seconds: float = 0.0
    property: str = ""

    def __str__(self) -> str:
        if self.kind == "after":
            return f"after {format_duration(timedelta(seconds=self.seconds))}"
        return f"per {self.property}" if self.kind == "per" else self.kind

    def key(self, given: str | None, properties: Mapping[str, Any]) -> str | None:
        """The key of the enrollment: empty where the track allows one run at a time, None where it lacks one.

        A value that looks like an address or a number of a person is none: keys stand in workflow ids.
        """
        if self.kind != "per":
            return ""
        if given:
            return given
        value = properties.get(self.property)
        if isinstance(value, bool) or not isinstance(value, (str, int)):
            return None
        key = str(value)
        return key if 1 <= len(key) <= MAX_KEY and looks_personal(key) is None else None


@dataclass(frozen=True, slots=True)
class Rules:
    """What decides whether someone may enter a track."""

    reentry: Reentry = Reentry()
    entry_event: str | None = None
    entry_where: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As kept in `track.rules`."""
        return {
            "reentry": {"kind": self.reentry.kind, "seconds": self.reentry.seconds, "property": self.reentry.property},
            "entry_event": self.entry_event,
            "entry_where": self.entry_where,
        }


def rules_from_json(data: Mapping[str, Any]) -> Rules:
    """Read what `Rules.to_json` wrote."""
    return Rules(Reentry(**data["reentry"]), data["entry_event"], data["entry_where"])


def rules_of(track: Mapping[str, Any]) -> Rules:
    """The rules of a track's canonical data (`tracks.document.track_to_data`)."""
    entry = track.get("entry") or {}
    return Rules(_reentry(track.get("reentry", "never")), entry.get("event"), entry.get("where"))


def _reentry(rule: Any) -> Reentry:
    if isinstance(rule, Mapping):
        if "per" in rule:
            return Reentry("per", property=str(rule["per"]))
        return Reentry("after", seconds=parse_duration(str(rule["after"])).total_seconds())
    return Reentry("always") if rule == "always" else Reentry()
