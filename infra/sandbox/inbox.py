"""The inbox: what people got, as they would see it, and what they can do about it."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from infra.sandbox.actions import Actions, BadAction
from infra.sandbox.links import link_text, one_click_url
from infra.sandbox.mailbox import Mailbox, Message
from infra.sandbox.pages import address_of, badge, clock, esc, frame, icon, most_telling, with_query
from infra.sandbox.tracking import shown_html, shown_text

PAGE = 50
_SANDBOX = "sandbox allow-popups allow-popups-to-escape-sandbox; script-src 'none'"


class Inbox:
    """The pages. They work without JavaScript; with it they follow what happens."""

    def __init__(self, mailbox: Mailbox, actions: Actions) -> None:
        self._mailbox = mailbox
        self._actions = actions

    def routes(self) -> list[BaseRoute]:
        """See the handlers."""
        return [
            Route("/", self._index, methods=["GET"]),
            Route("/version", self._version, methods=["GET"]),
            Route("/m/{id}", self._message, methods=["GET"]),
            Route("/m/{id}/html", self._html, methods=["GET"]),
            Route("/m/{id}/act", self._act, methods=["POST"]),
            Route("/sms/{person}/{other}", self._thread, methods=["GET"]),
            Route("/sms/{person}/{other}", self._reply, methods=["POST"]),
            Mount("/static", StaticFiles(directory=Path(__file__).parent / "static")),
        ]

    async def _index(self, request: Request) -> Response:
        return self._page(request, "Inbox", "")

    async def _version(self, request: Request) -> Response:
        """A number that changes whenever a page might look different."""
        return PlainTextResponse(str(self._mailbox.version), headers={"cache-control": "no-store"})

    async def _message(self, request: Request) -> Response:
        message = self._mailbox.get(request.path_params["id"])
        if message is None:
            return self._missing(request)
        if message.channel == "sms":
            return RedirectResponse(address_of(message), 303)
        if message.channel == "webhook":
            return self._page(request, f"POST {message.recipients[0]}", self._webhook(message), message)
        return self._page(request, message.subject or "(no subject)", self._email(message, request), message)

    async def _html(self, request: Request) -> Response:
        """The email alone, for the frame: without scripts, forms or this page's origin."""
        message = self._mailbox.get(request.path_params["id"])
        if message is None:
            return PlainTextResponse("There is no such message.", 404)
        html, text = self._mailbox.body(message)
        body = shown_html(message, html) if html else f"<pre>{shown_text(message, text)}</pre>"
        return HTMLResponse(body, headers={"content-security-policy": _SANDBOX})

    async def _act(self, request: Request) -> Response:
        message = self._mailbox.get(request.path_params["id"])
        if message is None:
            return self._missing(request)
        form = {key: values[0] for key, values in parse_qs((await request.body()).decode()).items()}
        try:
            await self._actions.perform(message, form.get("action", ""), dict(form))
        except BadAction as problem:
            main = f'<div class="nothing"><p>{esc(str(problem).capitalize())}.</p></div>'
            return self._page(request, "Not done", main, message, 422)
        return RedirectResponse(f"/m/{quote(message.id)}", 303)

    async def _thread(self, request: Request) -> Response:
        person, other = request.path_params["person"], request.path_params["other"]
        thread = self._conversation(person, other)
        if not thread:
            return self._missing(request)
        return self._page(request, f"Texts with {person}", _phone(person, other, thread), thread[-1])

    async def _reply(self, request: Request) -> Response:
        person, other = request.path_params["person"], request.path_params["other"]
        thread = self._conversation(person, other)
        text = parse_qs((await request.body()).decode()).get("text", [""])[0].strip()
        if not thread:
            return self._missing(request)
        if text:
            await self._actions.perform(thread[-1], "reply", {"text": text})
        return RedirectResponse(request.url.path, 303)

    def _conversation(self, person: str, other: str) -> list[Message]:
        found = self._mailbox.newest_first(person=person, channel="sms")
        mine = (m for m in found if other == (m.recipients[0] if m.direction == "in" else m.sender))
        return list(itertools.islice(mine, 200))[::-1]

    def _missing(self, request: Request) -> Response:
        return self._page(
            request, "Not found", '<div class="nothing"><p>There is no such message.</p></div>', status=404
        )

    def _page(
        self, request: Request, title: str, main: str, selected: Message | None = None, status: int = 200
    ) -> Response:
        query = {key: request.query_params.get(key, "") for key in ("to", "channel", "before")}
        listing = self._listing(query, selected)
        return HTMLResponse(frame(title, listing, main, query, self._mailbox.version), status)

    def _listing(self, query: dict[str, str], selected: Message | None) -> str:
        before = int(query["before"]) if query["before"].isdigit() else 0
        wanted = query["to"].strip().lower()
        found = self._mailbox.newest_first(channel=query["channel"], before=before)
        fitting = (m for m in found if not wanted or wanted in f"{m.person} {m.subject.lower()}")
        messages = list(itertools.islice(fitting, PAGE + 1))
        if not messages:
            text = "No message fits." if wanted or query["channel"] else "No messages yet."
            return f'<p class="empty">{text}</p>'
        rows = "".join(_row(m, query, selected) for m in messages[:PAGE])
        older = with_query("/", {**query, "before": str(messages[PAGE - 1].seq)}) if len(messages) > PAGE else ""
        return f"<ol>{rows}</ol>" + (f'<a class="older" href="{esc(older)}">Older messages</a>' if older else "")

    def _email(self, message: Message, request: Request) -> str:
        html, text = self._mailbox.body(message)
        counts = Counter(h.type for h in message.past())
        buttons = [_button(message, "bounce", "Bounce"), _button(message, "complain", "Mark as spam")]
        if one_click_url(message.header("List-Unsubscribe")):
            buttons.insert(0, _button(message, "unsubscribe", "Unsubscribe", "leave"))
        details = [*message.headers, *(["tag", f"{name}={value}"] for name, value in message.tags.items())]
        details += [
            ["configuration set", message.detail.get("configuration_set") or "none"],
            ["message id", message.id],
        ]
        # What says nothing about itself is shown as what it is.
        first = "text" if not html else "html"
        panels = {
            "html": f'<iframe title="The email" sandbox="allow-popups allow-popups-to-escape-sandbox" '
            f'src="/m/{quote(message.id)}/html"></iframe>',
            "text": f"<pre>{shown_text(message, text) or 'There is no text part.'}</pre>",
            "headers": _table(details),
            "activity": f'<div data-live="activity">{_activity(message)}</div>',
        }
        labels = {"html": "Email", "text": "Text", "headers": "Headers", "activity": "Activity"}
        return f"""<article class="message">
<header>
<a class="back" href="/" aria-label="Back to the list">{icon("back")}</a>
<h1>{esc(message.subject) or "(no subject)"}</h1>
<div class="who"><span class="avatar">{esc(_initial(message.sender))}</span>
<p><b>{esc(message.sender)}</b><br><span>to {esc(", ".join(message.recipients))}</span></p>{clock(message.at)}</div>
<div class="does"><div class="badges" data-live="badges">{"".join(badge(t, n) for t, n in counts.items())}</div>
<div class="buttons">{"".join(buttons)}</div></div>
</header>
<div class="views">
{"".join(_tab(k, labels[k], k == first) for k in panels)}
<input type="checkbox" id="narrow"><label for="narrow" class="narrow">Phone width</label>
{"".join(f'<section class="view-{k}"><h2 class="unseen">{labels[k]}</h2>{p}</section>' for k, p in panels.items())}
</div>
</article>"""

    def _webhook(self, message: Message) -> str:
        body = self._mailbox.body(message)[1]
        try:
            body = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
        except ValueError:
            pass
        return f"""<article class="message">
<header><a class="back" href="/" aria-label="Back to the list">{icon("back")}</a>
<h1>POST {esc(message.recipients[0])}</h1></header>
<div class="plain"><pre>{esc(body)}</pre>{_table(message.headers)}</div></article>"""


def _row(message: Message, query: dict[str, str], selected: Message | None) -> str:
    kept = {key: value for key, value in query.items() if key != "before"}
    current = " aria-current=true" if selected is not None and address_of(message) == address_of(selected) else ""
    if selected is not None and message.channel == "email":
        current = " aria-current=true" if message.id == selected.id else ""
    who = message.person or message.recipients[0]
    about = message.subject or ("POST" if message.channel == "webhook" else "(no subject)")
    arrow = '<i class="reply">reply</i> ' if message.direction == "in" else ""
    return (
        f'<li class="{message.channel}"><a href="{esc(with_query(address_of(message), kept))}"{current}>'
        f'<span class="kind" title="{message.channel}">{icon(message.channel)}</span>'
        f'<span class="what"><b>{esc(who)}</b><span>{arrow}{esc(about)}</span></span>'
        f'<span class="when">{clock(message.at)}{most_telling(message)}</span></a></li>'
    )


def _button(message: Message, action: str, label: str, look: str = "") -> str:
    return (
        f'<form method="post" action="/m/{quote(message.id)}/act"><input type="hidden" name="action" value="{action}">'
        f'<button class="{look}">{label}</button></form>'
    )


def _tab(name: str, label: str, chosen: bool) -> str:
    checked = " checked" if chosen else ""
    return f'<input type="radio" name="view" id="view-{name}"{checked}><label for="view-{name}">{label}</label>'


def _table(rows: list[list[str]]) -> str:
    cells = "".join(f"<tr><th>{esc(name)}</th><td>{esc(value)}</td></tr>" for name, value in rows)
    return f"<table>{cells}</table>"


def _activity(message: Message) -> str:
    lines = []
    for happening in message.past()[::-1]:
        more = (
            happening.detail.get("link") or happening.detail.get("bounceSubType") or happening.detail.get("status", "")
        )
        lines.append(f"<li>{badge(happening.type)}<span>{esc(more)}</span>{clock(happening.at)}</li>")
    return f'<ul class="activity">{"".join(lines)}</ul>'


def _initial(sender: str) -> str:
    return next((c for c in sender if c.isalnum()), "?").upper()


def _phone(person: str, other: str, thread: list[Message]) -> str:
    bubbles = []
    for message in thread:
        side = "mine" if message.direction == "in" else "theirs"
        state = message.past()[-1].type if message.past() else "queued"
        note = "" if message.direction == "in" else badge(state)
        text = link_text(message.subject, lambda url: None)
        bubbles.append(f'<li class="{side}"><p>{text}</p><small>{clock(message.at)} {note}</small></li>')
    quick = "".join(f'<button name="text" value="{word}">{word}</button>' for word in ("YES", "STOP", "START"))
    return f"""<div class="desk"><div class="phone">
<header><a class="back" href="/" aria-label="Back to the list">{icon("back")}</a>
<span class="avatar">{icon("sms")}</span><b>{esc(other)}</b><small>on the phone of {esc(person)}</small></header>
<ol class="thread" data-live="thread">{"".join(bubbles)}</ol>
<form class="quick" method="post">{quick}</form>
<form class="reply" method="post"><input name="text" placeholder="Reply" aria-label="Reply" autocomplete="off" required>
<button aria-label="Send">{icon("send")}</button></form>
</div></div>"""
