"""A receiver for the webhooks that tracks call. It records them, and can be told to fail."""

from __future__ import annotations

import time
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.sandbox.core.faults import Dropped, Faults
from infra.sandbox.core.mailbox import Happening, Mailbox, Message


class WebhookSink:
    """Accepts any POST below /hooks/."""

    def __init__(self, mailbox: Mailbox, faults: Faults) -> None:
        self._mailbox = mailbox
        self._faults = faults

    def routes(self) -> list[Route]:
        """All paths below /hooks/."""
        return [Route("/hooks/{name:path}", self._receive, methods=["POST"])]

    async def _receive(self, request: Request) -> Response:
        name, body = request.path_params["name"], await request.body()
        fault = await self._faults.strike("webhook", [name, body.decode(errors="replace")])
        if fault.kind == "drop_before":
            return Dropped()
        if fault.kind in ("429", "500"):
            retry = {} if fault.retry_after is None else {"retry-after": f"{fault.retry_after:g}"}
            return JSONResponse({"error": "told to misbehave"}, int(fault.kind), retry)
        now = time.time()
        message = Message(
            seq=0,
            id=f"WH{uuid.uuid4().hex}",
            channel="webhook",
            direction="out",
            sender=request.client.host if request.client else "",
            recipients=[f"/hooks/{name}"],
            subject=request.headers.get("webhook-id", ""),
            at=now,
            headers=[[key, value] for key, value in request.headers.items()],
            happenings=[Happening("received", now)],
        )
        self._mailbox.accept(message, text=body.decode(errors="replace"))
        if fault.kind == "drop_after":
            return Dropped()
        if fault.kind == "500_after":
            return JSONResponse({"error": "told to misbehave"}, 500)
        return JSONResponse({"received": message.id})
