"""All messages that a provider accepted, in memory without their bodies, and what happened to them."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from email.utils import parseaddr
from typing import Any

from infra.sandbox.core.journal import Entry, Journal, Place

NOWHERE = Place(0, 0)


def iso(moment: float) -> str:
    """An epoch time in Amazon's format: `2026-01-31T12:00:00.000Z`."""
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def bare(address: str) -> str:
    """The address in lower case without a display name. Phone numbers are unchanged."""
    return (parseaddr(address)[1] or address).strip().lower()


@dataclass(slots=True)
class Happening:
    """One event of a message, past or future. `at` is its time."""

    type: str
    at: float
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Message:
    """One accepted message. `seq` counts from 1 in the order of acceptance."""

    seq: int
    id: str
    channel: str
    """`email`, `sms` or `webhook`."""
    direction: str
    """`out`: to a person; `in`: a reply."""
    sender: str
    recipients: list[str]
    subject: str
    """The subject of an email, the body of an SMS, the type of a webhook call."""
    at: float
    links: list[str] = field(default_factory=list)
    headers: list[list[str]] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    detail: dict[str, Any] = field(default_factory=dict)
    """Data that only the provider's own module reads."""
    happenings: list[Happening] = field(default_factory=list)
    place: Place = NOWHERE

    @property
    def person(self) -> str:
        """The person's address in the message, without a display name."""
        return bare(self.sender if self.direction == "in" else self.recipients[0]) if self.recipients else ""

    def past(self) -> list[Happening]:
        """The happenings so far, oldest first."""
        now = time.time()
        return sorted((h for h in self.happenings if h.at <= now), key=lambda h: h.at)

    def header(self, name: str) -> str:
        """The first header with that name, or an empty string."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), "")


class Mailbox:
    """The accepted messages by id and by the person's address."""

    def __init__(self, book: Journal) -> None:
        self._book = book
        self._by_id: dict[str, Message] = {}
        self._by_person: defaultdict[str, list[Message]] = defaultdict(list)
        self._ordered: list[Message] = []
        self._last = 0
        self.version = 0
        """Grows with every change, so that a page knows when to reload."""
        book.subscribe("message", self._message)
        book.subscribe("happening", self._happening)
        book.subscribe("reset", self._reset)

    def accept(self, message: Message, *, html: str = "", text: str = "") -> None:
        """Store a message and give it its `seq`. The body is written only to the journal."""
        message.seq = self._last + 1
        fields = asdict(message)
        del fields["place"]
        self._book.write("message", **fields, html=html, text=text)

    def happened(self, message: Message, type_: str, at: float, detail: dict[str, Any] | None = None) -> None:
        """Store a happening of a message."""
        self._book.write("happening", message=message.id, type=type_, at=at, detail=detail or {})

    def get(self, message_id: str) -> Message | None:
        """The message with that id."""
        return self._by_id.get(message_id)

    def body(self, message: Message) -> tuple[str, str]:
        """HTML and text of a message, read from the journal."""
        entry = self._book.read(message.place)
        return entry["html"], entry["text"]

    def newest_first(self, *, person: str = "", channel: str = "", before: int = 0) -> Iterator[Message]:
        """Messages with a smaller `seq` than `before` (0: all), newest first."""
        for message in reversed(self._by_person.get(bare(person), []) if person else self._ordered):
            if (not before or message.seq < before) and (not channel or message.channel == channel):
                yield message

    def after(self, seq: int, *, person: str = "", channel: str = "") -> list[Message]:
        """Messages accepted after the one with that `seq`, oldest first."""
        found = []
        for message in self.newest_first(person=person, channel=channel):
            if message.seq <= seq:
                break
            found.append(message)
        return found[::-1]

    def __len__(self) -> int:
        return len(self._ordered)

    def _message(self, entry: Entry, place: Place) -> None:
        fields = {key: value for key, value in entry.items() if key not in ("kind", "html", "text")}
        fields["happenings"] = [Happening(**h) for h in entry["happenings"]]
        message = Message(**fields, place=place)
        self._last = message.seq
        self._by_id[message.id] = message
        self._ordered.append(message)
        people = [message.sender] if message.direction == "in" else message.recipients
        for person in dict.fromkeys(bare(p) for p in people):
            self._by_person[person].append(message)
        self.version += 1

    def _happening(self, entry: Entry, place: Place) -> None:
        message = self._by_id.get(entry["message"])
        if message is not None:
            message.happenings.append(Happening(entry["type"], entry["at"], entry["detail"]))
            self.version += 1

    def _reset(self, entry: Entry, place: Place) -> None:
        self._by_id.clear()
        self._by_person.clear()
        self._ordered.clear()
        self.version += 1
