"""The data that the inbox's pages show, and the templates of the pages."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from infra.sandbox.core.mailbox import Mailbox, Message, iso

PAGE = 50


@dataclass(frozen=True)
class Label:
    """A happening in one word, and whether it is good or bad."""

    word: str
    tone: str


LABELS = {
    "send": Label("Sent", "quiet"),
    "queued": Label("Queued", "quiet"),
    "sent": Label("Sent", "quiet"),
    "received": Label("Received", "quiet"),
    "delivery": Label("Delivered", "good"),
    "delivered": Label("Delivered", "good"),
    "open": Label("Opened", "better"),
    "click": Label("Clicked", "better"),
    "bounce": Label("Bounced", "bad"),
    "complaint": Label("Complained", "bad"),
    "delivery_delay": Label("Delayed", "warn"),
    "reject": Label("Rejected", "bad"),
    "rendering_failure": Label("Not rendered", "bad"),
    "undelivered": Label("Undelivered", "bad"),
    "unsubscribe": Label("Unsubscribed", "warn"),
}
_TONES = ["quiet", "good", "better", "warn", "bad"]
_TABS = (("", "All"), ("email", "Email"), ("sms", "SMS"), ("webhook", "Webhooks"))


def label(type_: str) -> Label:
    """The label of a happening."""
    return LABELS.get(type_, Label(type_.title(), "quiet"))


@dataclass(frozen=True)
class Tab:
    """A channel to which the list can be filtered."""

    label: str
    address: str
    chosen: bool


@dataclass(frozen=True)
class Row:
    """A message in the list."""

    channel: str
    address: str
    chosen: bool
    who: str
    reply: bool
    subject: str
    at: float
    label: Label | None


@dataclass(frozen=True)
class Listing:
    """The list beside a message: one page of the matching messages."""

    to: str
    channel: str
    tabs: list[Tab]
    rows: list[Row]
    older: str
    """The address of the next page; empty on the last."""

    @property
    def narrowed(self) -> bool:
        """Whether a filter hides some messages."""
        return bool(self.to.strip() or self.channel)


def listing(mailbox: Mailbox, query: Mapping[str, str], selected: Message | None) -> Listing:
    """The newest matching messages. `query` has `to`, `channel` and `before` (the end of the previous page)."""
    asked = {"to": query.get("to", ""), "channel": query.get("channel", "")}
    before = query.get("before", "")
    found = mailbox.newest_first(channel=asked["channel"], before=int(before) if before.isdigit() else 0)
    wanted = asked["to"].strip().lower()
    fitting = (m for m in found if not wanted or wanted in f"{m.person} {m.subject.lower()}")
    messages = list(itertools.islice(fitting, PAGE + 1))
    more = len(messages) > PAGE
    return Listing(
        **asked,
        tabs=list(_tabs(asked)),
        rows=[_row(message, asked, selected) for message in messages[:PAGE]],
        older=_with_query("/", {**asked, "before": str(messages[PAGE - 1].seq)}) if more else "",
    )


def _tabs(asked: Mapping[str, str]) -> Iterator[Tab]:
    for channel, name in _TABS:
        yield Tab(name, _with_query("/", {**asked, "channel": channel}), asked["channel"] == channel)


def _row(message: Message, asked: Mapping[str, str], selected: Message | None) -> Row:
    return Row(
        channel=message.channel,
        address=_with_query(address_of(message), asked),
        chosen=selected is not None and address_of(message) == address_of(selected),
        who=message.person or message.recipients[0],
        reply=message.direction == "in",
        subject=message.subject or ("POST" if message.channel == "webhook" else "(no subject)"),
        at=message.at,
        label=_most_telling(message),
    )


def _most_telling(message: Message) -> Label | None:
    """The label of the most informative happening so far."""
    labels = [label(happening.type) for happening in message.past()]
    return max(reversed(labels), key=lambda one: _TONES.index(one.tone), default=None)


def address_of(message: Message) -> str:
    """The path of the page that shows this message."""
    if message.channel != "sms":
        return f"/m/{quote(message.id)}"
    other = message.recipients[0] if message.direction == "in" else message.sender
    return f"/sms/{quote(message.person, safe='')}/{quote(other, safe='')}"


def _with_query(path: str, query: Mapping[str, str]) -> str:
    """A path with the query's non-empty values."""
    kept = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def _clock(moment: float) -> dict[str, str]:
    """A time in three forms: for machines, in full, and short: the hour if it is today, otherwise the day."""
    then = datetime.fromtimestamp(moment).astimezone()
    today = then.date() == datetime.now().astimezone().date()
    short = f"{then:%H:%M}" if today else f"{then.day} {then:%b}"
    return {"iso": iso(moment), "full": f"{then:%A} {then.day} {then:%B %Y, %H:%M:%S}", "short": short}


_TEMPLATES = Environment(
    loader=PackageLoader("infra.sandbox.recipients"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_TEMPLATES.filters["clock"] = _clock


def page(name: str, **shown: Any) -> str:
    """Render a template. It escapes all values."""
    return _TEMPLATES.get_template(name).render(**shown)
