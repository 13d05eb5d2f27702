"""The frame of the inbox's pages, and the small pieces they share."""

from __future__ import annotations

import html as entities
from datetime import datetime
from urllib.parse import quote, urlencode

from infra.sandbox.mailbox import Message, iso

ICONS = {
    "email": '<path d="M3 6.5h18v11H3z"/><path d="m3 7 9 6.5L21 7"/>',
    "sms": '<path d="M4 5h16v11H11l-4.5 3.5V16H4z"/><path d="M8 10.5h.01M12 10.5h.01M16 10.5h.01"/>',
    "webhook": '<path d="M9 7 4 12l5 5M15 7l5 5-5 5"/>',
    "back": '<path d="M15 5l-7 7 7 7"/>',
    "send": '<path d="M12 19V5M6 11l6-6 6 6"/>',
    "leaf": '<path d="M5 19C4 10 9 5 20 4c0 10-5 15-13 13"/><path d="M5 20c2-5 5-8 9-10"/>',
}
# What a happening is called, and how good the news is.
WORDS = {
    "send": ("Sent", "quiet"),
    "queued": ("Queued", "quiet"),
    "sent": ("Sent", "quiet"),
    "received": ("Received", "quiet"),
    "delivery": ("Delivered", "good"),
    "delivered": ("Delivered", "good"),
    "open": ("Opened", "better"),
    "click": ("Clicked", "better"),
    "bounce": ("Bounced", "bad"),
    "complaint": ("Complained", "bad"),
    "delivery_delay": ("Delayed", "warn"),
    "reject": ("Rejected", "bad"),
    "rendering_failure": ("Not rendered", "bad"),
    "undelivered": ("Undelivered", "bad"),
    "unsubscribe": ("Unsubscribed", "warn"),
}
_RANK = ["quiet", "good", "better", "warn", "bad"]


def esc(text: object) -> str:
    """Text made safe for HTML, in and outside of attributes."""
    return entities.escape(str(text))


def icon(name: str) -> str:
    """One of the line icons."""
    return f'<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{ICONS[name]}</svg>'


def clock(moment: float) -> str:
    """A time as a person reads it: the hour today, otherwise the day."""
    then = datetime.fromtimestamp(moment).astimezone()
    short = f"{then:%H:%M}" if then.date() == datetime.now().astimezone().date() else f"{then.day} {then:%b}"
    return f'<time datetime="{iso(moment)}" title="{then:%A} {then.day} {then:%B %Y, %H:%M:%S}">{short}</time>'


def badge(type_: str, count: int = 1) -> str:
    """What happened, as a small label."""
    word, tone = WORDS.get(type_, (type_.title(), "quiet"))
    return f'<span class="badge {tone}">{esc(word)}{f" {count} times" if count > 1 else ""}</span>'


def most_telling(message: Message) -> str:
    """The label of the happening that says most about the message by now."""
    types = [h.type for h in message.past()]
    if not types:
        return ""
    return badge(max(reversed(types), key=lambda t: _RANK.index(WORDS.get(t, ("", "quiet"))[1])))


def address_of(message: Message) -> str:
    """The path of the page that shows this message."""
    if message.channel != "sms":
        return f"/m/{quote(message.id)}"
    other = message.recipients[0] if message.direction == "in" else message.sender
    return f"/sms/{quote(message.person, safe='')}/{quote(other, safe='')}"


def with_query(path: str, query: dict[str, str]) -> str:
    """A path with those of the query's values that are not empty."""
    kept = {key: value for key, value in query.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def frame(title: str, listing: str, main: str, query: dict[str, str], version: int) -> str:
    """A whole page: the list of messages beside `main`; on a phone only one of them. `version` is what it shows."""
    where = "reading" if main else "browsing"
    channel = query.get("channel", "")
    tabs = "".join(
        f'<a href="{esc(with_query("/", {**query, "channel": value, "before": ""}))}"'
        f"{' aria-current=page' if channel == value else ''}>{label}</a>"
        for value, label in (("", "All"), ("email", "Email"), ("sms", "SMS"), ("webhook", "Webhooks"))
    )
    main = main or (
        f'<div class="nothing">{icon("email")}<p>Choose a message to read it.</p>'
        "<p class=hint>Nothing here left this machine: "
        "these are the messages that SES and Twilio would have taken.</p></div>"
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{esc(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/static/inbox.css">
<script src="/static/inbox.js" defer></script>
</head>
<body class="{where}" data-version="{version}">
<a class="skip" href="#main">Skip to the message</a>
<header class="top">
<a class="brand" href="/">{icon("leaf")}<b>Perennial</b><span>sandbox inbox</span></a>
<form class="search" action="/" role="search">
<input type="search" name="to" value="{esc(query.get("to", ""))}"
 placeholder="Address or subject" aria-label="Address or subject">
{f'<input type="hidden" name="channel" value="{esc(channel)}">' if channel else ""}
</form>
</header>
<div class="panes">
<nav class="list" aria-label="Messages">
<h2 class="unseen">Messages</h2>
<div class="tabs">{tabs}</div>
<div data-live="list">{listing}</div>
</nav>
<main id="main" tabindex="-1">{main}</main>
</div>
</body>
</html>"""
