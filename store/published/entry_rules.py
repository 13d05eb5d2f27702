"""A track's entry and re-entry rules, as the table `track` stores them for the newest version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from tracks.model.date_entries import DateMoments
from tracks.model.entry import MAX_AGE, Entry
from tracks.model.sending import Lately
from tracks.model.steps.steps import MessageStep
from tracks.model.track import ReentryAfter, ReentryPer, ReentryRestart, Track
from tracks.model.values import PUBLISHED
from tracks.shared.personal_ids import looks_personal, only_digits
from tracks.time.durations import format_duration

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

    def begins_anew(self) -> Literal["live", "converted"] | None:
        """Which live run an entry event ends to begin a new one: any, or one whose goal has been reached."""
        if self.restart:
            return "live"
        return "converted" if self.kind == "always" else None

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
class EntryRule:
    """One entry of a track: the event that enrols, and whom."""

    event: str
    where: str | None = None
    unless: str | Lately | None = None
    max_age: timedelta | None = None
    """None: events of any age, as in tracks that were published before this limit existed."""
    name: str | None = None
    """What `enrollment.entry` says; None in tracks that were published before runs knew it."""
    date: str | None = None
    """The name of the date whose moments enrol (`tracks.model.date_entries`)."""
    since: datetime | None = None
    """Of a date: since when the track is entered by it. A moment before that enrols nobody."""

    def too_old(self, at: datetime, now: datetime) -> bool:
        """Whether an event of that time enrols nobody any more: a moment of before the track was entered by it never
        does."""
        return (self.max_age is not None and now - at > self.max_age) or (self.since is not None and at < self.since)

    def to_json(self) -> dict[str, Any]:
        """The entry as stored."""
        unless = self.unless
        data: dict[str, Any] = {
            "event": self.event,
            "where": self.where,
            "unless": unless.model_dump(mode="json") if isinstance(unless, Lately) else unless,
            "max_age": None if self.max_age is None else self.max_age.total_seconds(),
            "name": self.name,
            "date": self.date,
            "since": self.since.isoformat() if self.since else None,
        }
        return {key: value for key, value in data.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules that decide whether a contact may enter a track."""

    reentry: Reentry = Reentry()
    entries: tuple[EntryRule, ...] = ()
    excluded: tuple[Any, ...] = ()
    """Whom the track leaves alone (`audience.exclusions`)."""
    promotional: bool = False
    """Whether it sends messages that are not transactional: then the policy says too whom it leaves alone."""

    @property
    def first_event(self) -> str | None:
        """The event of the first entry that is about no date: the only one that earlier releases know."""
        return self._first.event if self._first else None

    @property
    def _first(self) -> EntryRule | None:
        return next((entry for entry in self.entries if entry.date is None), None)

    def to_json(self) -> dict[str, Any]:
        """The rules as stored in `track.rules`.

        `first_event` and what belongs to it are written once more in the keys of earlier releases, which ignore the
        others: during a rolling deployment they read the same rows.
        """
        reentry = {"kind": self.reentry.kind, "seconds": self.reentry.seconds, "property": self.reentry.property}
        data: dict[str, Any] = {"reentry": reentry, "entries": [entry.to_json() for entry in self.entries]}
        if self.reentry.restart:
            data["restart"] = True
        if self.excluded:
            data["excluded"] = list(self.excluded)
        if self.promotional:
            data["promotional"] = True
        first = self._first.to_json() if self._first else {}
        data |= {"entry_event": self.first_event, "entry_where": first.get("where")}
        for key in ("unless", "max_age"):
            if key in first:
                data[f"entry_{key}"] = first[key]
        return data


def rules_from_json(data: Mapping[str, Any]) -> Rules:
    """Read what `Rules.to_json` of any release wrote."""
    reentry = Reentry(**data["reentry"], restart=data.get("restart", False))
    if "entries" in data:
        entries = tuple(_entry_from_json(entry) for entry in data["entries"])
        return Rules(reentry, entries, tuple(data.get("excluded", ())), data.get("promotional", False))
    if data["entry_event"] is None:
        return Rules(reentry)
    names = {"event": "entry_event", "where": "entry_where", "unless": "entry_unless", "max_age": "entry_max_age"}
    return Rules(reentry, (_entry_from_json({name: data.get(key) for name, key in names.items()}),))


def _entry_from_json(data: Mapping[str, Any]) -> EntryRule:
    unless, age, since = data.get("unless"), data.get("max_age"), data.get("since")
    return EntryRule(
        data["event"],
        data.get("where"),
        Lately.model_validate(unless, context=PUBLISHED) if isinstance(unless, Mapping) else unless,
        None if age is None else timedelta(seconds=age),
        data.get("name"),
        data.get("date"),
        None if since is None else datetime.fromisoformat(since),
    )


def rules_of(track: Track, before: Rules | None, now: datetime) -> Rules:
    """The rules of a track at publishing. `before` are those of the version that it replaces."""
    known = {entry.date: entry.since for entry in before.entries if entry.date} if before else {}
    entries = tuple(_entry(entry, track, known, now) for entry in track.entries)
    messages = [message for step in track.walk() if isinstance(step, MessageStep) for message in step.messages]
    promotional = any(not message.transactional for message in messages)
    return Rules(_reentry(track.reentry), entries, track.unless, promotional)


def dates_of(track: Track) -> tuple[DateMoments, ...]:
    """The dates by which a track is entered."""
    found = (entry.moments(track.defaults.timezone) for entry in track.entries)
    return tuple(moments for moments in found if moments is not None)


def _entry(entry: Entry, track: Track, known: Mapping[str, datetime | None], now: datetime) -> EntryRule:
    event, where = entry.cause
    moments = entry.moments(track.defaults.timezone)
    date = moments.name if moments else None
    since = (known.get(date) or now) if date else None
    return EntryRule(event, where, entry.unless, entry.max_age or MAX_AGE, entry.name, date, since)


def _reentry(rule: Any) -> Reentry:
    match rule:
        case ReentryPer(per=name, after=after, restart=restart):
            return Reentry("per", after.total_seconds() if after else 0.0, name, restart)
        case ReentryAfter(after=after, restart=restart):
            return Reentry("after", after.total_seconds(), restart=restart)
        case ReentryRestart():
            return Reentry("always", restart=True)
    return Reentry("always" if rule == "always" else "never")
