"""The sandbox's control interface for tests and the demo: read accepted messages, act on them, order faults."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.sandbox.amazon.ses_account import SesAccount
from infra.sandbox.core.callbacks import Callbacks
from infra.sandbox.core.faults import BadFault, Faults
from infra.sandbox.core.journal import Journal
from infra.sandbox.core.mailbox import Mailbox, Message, iso
from infra.sandbox.hubspot.objects import HubSpotStore
from infra.sandbox.recipients.actions import Actions, BadAction

MOST = 5000
LONGEST_WAIT = 30.0


class Control:
    """Everything below /_control, and /healthz."""

    def __init__(
        self,
        book: Journal,
        mailbox: Mailbox,
        account: SesAccount,
        callbacks: Callbacks,
        faults: Faults,
        actions: Actions,
        crm: HubSpotStore,
        base_url: str,
    ) -> None:
        self._book = book
        self._mailbox = mailbox
        self._account = account
        self._callbacks = callbacks
        self._faults = faults
        self._actions = actions
        self._crm_store = crm
        self._base = base_url

    def routes(self) -> list[Route]:
        """See the docstrings of the handlers."""
        return [
            Route("/healthz", self._health, methods=["GET"]),
            Route("/_control/messages", self._messages, methods=["GET"]),
            Route("/_control/messages/{id}", self._one_message, methods=["GET"]),
            Route("/_control/actions", self._act, methods=["POST"]),
            Route("/_control/faults", self._list_faults, methods=["GET"]),
            Route("/_control/faults", self._order_fault, methods=["POST"]),
            Route("/_control/faults", self._clear_faults, methods=["DELETE"]),
            Route("/_control/callbacks", self._list_callbacks, methods=["GET"]),
            Route("/_control/identities", self._verify, methods=["POST"]),
            Route("/_control/account", self._limit, methods=["POST"]),
            Route("/_control/crm", self._crm, methods=["GET"]),
            Route("/_control/reset", self._reset, methods=["POST"]),
        ]

    async def _health(self, request: Request) -> Response:
        """Whether the sandbox is up."""
        return JSONResponse({"status": "ok", "messages": len(self._mailbox), "callbacks": self._callbacks.waiting()})

    async def _messages(self, request: Request) -> Response:
        """Accepted messages, oldest first: ?to= &channel= &after=<seq> &limit= &wait=<seconds> &body=1.

        `wait` delays the answer until there is a message, at most so many seconds.
        """
        query = request.query_params
        try:
            after, limit = int(query.get("after", 0)), int(query.get("limit", MOST))
            wait = min(float(query.get("wait", 0)), LONGEST_WAIT)
        except ValueError:
            return _problem("after, limit and wait are numbers")
        until = time.monotonic() + wait
        while True:
            found = self._mailbox.after(after, person=query.get("to", ""), channel=query.get("channel", ""))
            if found or time.monotonic() >= until:
                break
            await asyncio.sleep(0.02)
        full = query.get("body", "") not in ("", "0", "false")
        return JSONResponse({"total": len(found), "messages": [self._json(m, full) for m in found[:limit]]})

    async def _one_message(self, request: Request) -> Response:
        """One message with its body."""
        message = self._mailbox.get(request.path_params["id"])
        return JSONResponse(self._json(message, True)) if message else _problem("there is no such message", 404)

    async def _act(self, request: Request) -> Response:
        """Perform an action of the recipient, or an event of the delivery, on a message.

        {message, action, link?, text?, bounce_type?, sub_type?, feedback?, delay_type?, format?}
        """
        data = await _json_object(request)
        if data is None:
            return _problem("the body must be a JSON object")
        message = self._mailbox.get(str(data.get("message")))
        if message is None:
            return _problem("there is no such message", 404)
        try:
            result = await self._actions.perform(message, str(data.get("action")), data)
        except BadAction as problem:
            return _problem(str(problem))
        return JSONResponse({"message": message.id, "action": data["action"], **result})

    async def _list_faults(self, request: Request) -> Response:
        """The active faults."""
        return JSONResponse({"faults": self._faults.listed()})

    async def _order_fault(self, request: Request) -> Response:
        """Order a fault: {provider, kind, times?, seconds?, retry_after?, error_code?, match?, operation?}."""
        data = await _json_object(request)
        if data is None:
            return _problem("the body must be a JSON object")
        try:
            self._faults.order(data)
        except (BadFault, TypeError) as problem:
            return _problem(str(problem))
        return JSONResponse({"faults": self._faults.listed()}, 201)

    async def _clear_faults(self, request: Request) -> Response:
        """End all faults."""
        self._faults.clear()
        return Response(status_code=204)

    async def _list_callbacks(self, request: Request) -> Response:
        """How many callbacks are pending, and the results of the last ones."""
        callbacks = self._callbacks
        return JSONResponse(
            {
                "waiting": callbacks.waiting(),
                "delivered": callbacks.delivered,
                "dropped": callbacks.dropped,
                "last_error": callbacks.last_error,
            }
        )

    async def _verify(self, request: Request) -> Response:
        """Verify an SES identity, as its owner does by email or DNS: {identity}."""
        data = await _json_object(request)
        if not data or not isinstance(data.get("identity"), str):
            return _problem("identity must be an address or a domain")
        self._account.verify(data["identity"])
        return JSONResponse({"identity": data["identity"], "verified": True})

    async def _limit(self, request: Request) -> Response:
        """Change the SES account's limits and status, by the names of GetAccount: {SentLast24Hours: 49900}."""
        data = await _json_object(request)
        if data is None:
            return _problem("the body must be a JSON object")
        try:
            return JSONResponse(self._account.limit(data))
        except ValueError as problem:
            return _problem(str(problem))

    async def _crm(self, request: Request) -> Response:
        """Every HubSpot object by type, with its associations."""
        return JSONResponse(self._crm_store.everything())

    async def _reset(self, request: Request) -> Response:
        """Delete messages, callbacks, suppressions, opt-outs, CRM objects and faults; keep identities and sets."""
        self._faults.clear()
        self._book.write("reset")
        return Response(status_code=204)

    def _json(self, message: Message, full: bool) -> dict[str, Any]:
        data: dict[str, Any] = {
            "seq": message.seq,
            "id": message.id,
            "channel": message.channel,
            "direction": message.direction,
            "from": message.sender,
            "to": message.recipients[0] if message.recipients else "",
            "recipients": message.recipients,
            "at": iso(message.at),
            "links": [
                {
                    "url": url,
                    "tracked": f"{self._base}/l/{quote(message.id)}.{n}" if message.channel == "email" else url,
                }
                for n, url in enumerate(message.links)
            ],
            "headers": dict(message.headers),
            "tags": message.tags,
            "events": [{"type": h.type, "at": iso(h.at), **h.detail} for h in message.past()],
        }
        data["text" if message.channel == "sms" else "subject"] = message.subject
        if full and message.channel != "sms":
            data["html"], data["text"] = self._mailbox.body(message)
        return data


async def _json_object(request: Request) -> dict[str, Any] | None:
    try:
        data = json.loads(await request.body())
    except ValueError:
        return None
    return data if isinstance(data, dict) else None


def _problem(text: str, status: int = 422) -> Response:
    return JSONResponse({"error": text}, status)
