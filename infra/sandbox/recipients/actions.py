"""Actions on a message: the person opens it, clicks, replies, complains, unsubscribes; or it bounces."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from infra.sandbox.amazon.ses_events import SesEvents, bounce_detail, complaint_detail
from infra.sandbox.core.links import find_pictures, one_click_url
from infra.sandbox.core.mailbox import Mailbox, Message
from infra.sandbox.core.outbound import Outbound, Unreachable
from infra.sandbox.twilio.callbacks import TwilioCallbacks

ACTIONS = ("open", "click", "reply", "bounce", "complain", "delay", "reject", "rendering_failure", "unsubscribe")


BROWSER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
PATIENCE = (0.3, 0.5, 1.0, 1.0, 2.0, 2.0)
"""Seconds between tries to load a page that does not answer."""


class BadAction(ValueError):
    """The action cannot be performed on this message. The text says why."""


class Actions:
    """Performs actions on accepted messages."""

    def __init__(
        self, mailbox: Mailbox, events: SesEvents, twilio: TwilioCallbacks, application: str | None = None
    ) -> None:
        """`application` is the base address of links that are really fetched. Other links are not."""
        self._mailbox = mailbox
        self._application = f"{application}/" if application else None
        self._events = events
        self._twilio = twilio
        self._outbound = Outbound()

    def close(self) -> None:
        """Close the open connections."""
        self._outbound.close()

    async def perform(self, message: Message, action: str, data: dict[str, Any]) -> dict[str, Any]:
        """Perform an action and return its result. Raises BadAction if it is not possible for this message."""
        if action not in ACTIONS:
            raise BadAction(f"action must be one of {', '.join(ACTIONS)}")
        if action == "reply":
            return self._reply(message, str(data.get("text") or ""))
        if message.channel != "email":
            raise BadAction(f"{action} is for emails; this is {message.channel}")
        now = time.time()
        recipients = message.recipients[:1]
        if action == "open":
            self._events.happened(message, "open", now, {})
            for picture in find_pictures(self._mailbox.body(message)[0]):
                await self._fetch(picture)
        elif action == "click":
            link = choose_link(message, data.get("link"))
            self._events.happened(message, "click", now, {"link": link})
            await self._fetch(link)
            return {"link": link}
        elif action == "bounce":
            kind = str(data.get("bounce_type") or "Permanent")
            if kind not in ("Permanent", "Transient", "Undetermined"):
                raise BadAction("bounce_type must be Permanent, Transient or Undetermined")
            sub_type = str(data.get("sub_type") or ("Undetermined" if kind == "Undetermined" else "General"))
            detail = bounce_detail(kind, sub_type, recipients)
            self._events.happened(message, "bounce", now, detail | _format(data))
        elif action == "complain":
            detail = complaint_detail(recipients, str(data.get("feedback") or "abuse"), data.get("sub_type"))
            self._events.happened(message, "complaint", now, detail | _format(data))
        elif action == "delay":
            delay_type = str(data.get("delay_type") or "MailboxFull")
            self._events.happened(message, "delivery_delay", now, {"delayType": delay_type, "recipients": recipients})
        elif action in ("reject", "rendering_failure"):
            self._events.happened(message, action, now)
        else:
            return await self._unsubscribe(message)
        return {}

    async def _fetch(self, url: str) -> None:
        """Fetch an address of the application as a browser does, again while it does not answer. Other addresses are
        not fetched."""
        if self._application is None or not url.startswith(self._application):
            return
        for pause in PATIENCE:
            try:
                if await self._outbound.call("GET", url, {"user-agent": BROWSER}) < 500:
                    return
            except Unreachable:
                pass
            await asyncio.sleep(pause)
        raise BadAction(f"nobody answers at {url}")

    def _reply(self, message: Message, text: str) -> dict[str, Any]:
        if message.channel != "sms":
            raise BadAction("only texts can be answered here")
        if not text:
            raise BadAction("a reply needs a text")
        return {"reply": self._twilio.reply(message, text).id}

    async def _unsubscribe(self, message: Message) -> dict[str, Any]:
        """Send the one-click POST of RFC 8058 as a mail service does: from its own servers, not from a browser."""
        url = one_click_url(message.header("List-Unsubscribe"))
        if not url:
            raise BadAction("the message has no List-Unsubscribe header with a web address")
        if message.header("List-Unsubscribe-Post").strip().lower() != "list-unsubscribe=one-click":
            raise BadAction("the message does not offer one-click unsubscribing (List-Unsubscribe-Post)")
        headers = {"content-type": "application/x-www-form-urlencoded"}
        try:
            status = await self._outbound.post(url, headers, b"List-Unsubscribe=One-Click")
        except Unreachable as problem:
            raise BadAction(f"nobody answers at {problem}") from None
        self._mailbox.happened(message, "unsubscribe", time.time(), {"status": status})
        return {"status": status, "url": url}


def _format(data: dict[str, Any]) -> dict[str, Any]:
    """`notification` selects the older format, which is used for an identity's own topic."""
    return {"format": "notification"} if data.get("format") == "notification" else {}


def choose_link(message: Message, wanted: object) -> str:
    """The link for an index, an address or a part of one; by default the first link that does not unsubscribe."""
    if not message.links:
        raise BadAction("the message has no links")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        if not 0 <= wanted < len(message.links):
            raise BadAction(f"link {wanted} does not exist; there are {len(message.links)}")
        return message.links[wanted]
    if wanted:
        text = str(wanted)
        found = next((u for u in message.links if u == text), None) or next(
            (u for u in message.links if text in u), None
        )
        if found is None:
            raise BadAction(f"no link of the message contains {text!r}")
        return found
    leaving = one_click_url(message.header("List-Unsubscribe"))
    return next((u for u in message.links if u != leaving), message.links[0])
