"""The inbox: messages as their recipients see them, with the recipients' actions."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from infra.sandbox.amazon.tracking import shown_html, shown_text
from infra.sandbox.core.links import link_text, one_click_url
from infra.sandbox.core.mailbox import Happening, Mailbox, Message
from infra.sandbox.recipients.actions import Actions, BadAction
from infra.sandbox.recipients.pages import address_of, label, listing, page

_VIEWS = (("html", "Email"), ("text", "Text"), ("headers", "Headers"), ("activity", "Activity"))
_SANDBOX = "sandbox allow-popups allow-popups-to-escape-sandbox; script-src 'none'"


class Inbox:
    """The pages. They work without JavaScript; with it they update themselves."""

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
        return self._page(request, "frame.html", "Inbox", reading=False)

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
            title, body = f"POST {message.recipients[0]}", _indented(self._mailbox.body(message)[1])
            return self._page(request, "webhook.html", title, message, message=message, body=body)
        return self._page(request, "email.html", message.subject or "(no subject)", message, **self._email(message))

    async def _html(self, request: Request) -> Response:
        """The email alone, for the frame: without scripts, forms and this page's origin."""
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
            sentence = f"{str(problem).capitalize()}."
            return self._page(request, "sentence.html", "Not done", message, 422, sentence=sentence)
        return RedirectResponse(f"/m/{quote(message.id)}", 303)

    async def _thread(self, request: Request) -> Response:
        person, other = request.path_params["person"], request.path_params["other"]
        thread = self._conversation(person, other)
        if not thread:
            return self._missing(request)
        shown = {"person": person, "other": other, "bubbles": [_bubble(message) for message in thread]}
        return self._page(request, "thread.html", f"Texts with {person}", thread[-1], **shown)

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
        return self._page(request, "sentence.html", "Not found", status=404, sentence="There is no such message.")

    def _page(
        self,
        request: Request,
        template: str,
        title: str,
        selected: Message | None = None,
        status: int = 200,
        *,
        reading: bool = True,
        **shown: Any,
    ) -> Response:
        beside = listing(self._mailbox, request.query_params, selected)
        version = self._mailbox.version
        return HTMLResponse(page(template, title=title, reading=reading, list=beside, version=version, **shown), status)

    def _email(self, message: Message) -> dict[str, Any]:
        html, text = self._mailbox.body(message)
        buttons = [("bounce", "Bounce", ""), ("complain", "Mark as spam", "")]
        if one_click_url(message.header("List-Unsubscribe")):
            buttons.insert(0, ("unsubscribe", "Unsubscribe", "leave"))
        return {
            "message": message,
            "path": f"/m/{quote(message.id)}",
            "initial": next((c for c in message.sender if c.isalnum()), "?").upper(),
            "labels": [(label(type_), count) for type_, count in Counter(h.type for h in message.past()).items()],
            "buttons": buttons,
            "views": _VIEWS,
            "first": "html" if html else "text",  # the selected tab
            "text": Markup(shown_text(message, text)),
            "details": [
                *message.headers,
                *(["tag", f"{name}={value}"] for name, value in message.tags.items()),
                ["configuration set", message.detail.get("configuration_set") or "none"],
                ["message id", message.id],
            ],
            "activity": [_happened(happening) for happening in message.past()[::-1]],
        }


def _happened(happening: Happening) -> dict[str, Any]:
    detail = happening.detail
    more = detail.get("link") or detail.get("bounceSubType") or detail.get("status", "")
    return {"label": label(happening.type), "more": more, "at": happening.at}


def _bubble(message: Message) -> dict[str, Any]:
    """A text in a conversation. An outgoing one has a label."""
    state = label(message.past()[-1].type if message.past() else "queued")
    text = Markup(link_text(message.subject, lambda url: None))
    return {"text": text, "at": message.at, "label": None if message.direction == "in" else state}


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body
