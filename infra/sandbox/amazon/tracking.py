"""The open pixel and the click tracker of emails."""

from __future__ import annotations

import base64
import html as entities
import re
import time
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from infra.sandbox.amazon.ses_events import ADDRESS, USER_AGENT, SesEvents
from infra.sandbox.core.links import link_text, track_links
from infra.sandbox.core.mailbox import Mailbox, Message

_PIXEL = base64.b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_NO_STORE = {"cache-control": "no-store"}
_HEAD = re.compile(r"<head\b[^>]*>", re.IGNORECASE)


def tracked_path(message: Message, url: str) -> str | None:
    """The path that records a click on `url` and redirects to it; None if the message has no such link."""
    return f"/l/{quote(message.id)}.{message.links.index(url)}" if url in message.links else None


def shown_html(message: Message, html: str) -> str:
    """The email as a mail program shows it: links go through the tracker and open a new tab; the open pixel is at the
    end."""
    page = track_links(html, lambda url: tracked_path(message, url))
    base = '<base target="_blank">'
    page, heads = _HEAD.subn(lambda match: match.group() + base, page, count=1)
    pixel = f'<img src="/o/{quote(message.id)}.gif" width="1" height="1" alt="">'
    body, end, rest = page.rpartition("</body>")
    page = f"{body}{pixel}{end}{rest}" if end else page + pixel
    return page if heads else base + page


def shown_text(message: Message, text: str) -> str:
    """The text part as HTML. Its links go through the tracker."""
    if message.channel != "email":
        return entities.escape(text)
    return link_text(text, lambda url: tracked_path(message, url))


class Tracking:
    """Serves tracked links and pixels."""

    def __init__(self, mailbox: Mailbox, events: SesEvents) -> None:
        self._mailbox = mailbox
        self._events = events

    def routes(self) -> list[Route]:
        """/l/<message>.<link number> and /o/<message>.gif."""
        return [
            Route("/l/{id}.{number:int}", self._click, methods=["GET"]),
            Route("/o/{id}.gif", self._open, methods=["GET"]),
        ]

    async def _click(self, request: Request) -> Response:
        message, number = self._mailbox.get(request.path_params["id"]), request.path_params["number"]
        if message is None or number >= len(message.links):
            return PlainTextResponse("This link does not belong to any message.", 404)
        link = message.links[number]
        if request.method == "GET":
            self._events.happened(message, "click", time.time(), {"link": link, **_who(request)})
        return RedirectResponse(link, 302, _NO_STORE)

    async def _open(self, request: Request) -> Response:
        message = self._mailbox.get(request.path_params["id"])
        if message is not None and message.channel == "email" and request.method == "GET":
            self._events.happened(message, "open", time.time(), _who(request))
        return Response(_PIXEL, headers=_NO_STORE, media_type="image/gif")


def _who(request: Request) -> dict[str, str]:
    return {
        "ip": request.client.host if request.client else ADDRESS,
        "user_agent": request.headers.get("user-agent", USER_AGENT),
    }
