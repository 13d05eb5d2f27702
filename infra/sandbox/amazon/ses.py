"""Amazon SES v2 over its real wire protocol: sending and events only."""

from __future__ import annotations

import time
import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.sandbox.amazon.email_content import Email, read_email
from infra.sandbox.amazon.service_model import AwsError, AwsModel, answer
from infra.sandbox.amazon.ses_account import SesAccount
from infra.sandbox.amazon.ses_events import SesEvents, bounce_detail, complaint_detail, is_simulator
from infra.sandbox.core.faults import Dropped, Fault, Faults
from infra.sandbox.core.links import find_links
from infra.sandbox.core.mailbox import Happening, Mailbox, Message, bare


class Ses:
    """The service's front end."""

    def __init__(
        self, mailbox: Mailbox, account: SesAccount, events: SesEvents, faults: Faults, delivery_delay: float
    ) -> None:
        self._model = AwsModel("sesv2")
        self._mailbox = mailbox
        self._account = account
        self._events = events
        self._faults = faults
        self._delay = delivery_delay

    def routes(self) -> list[Route]:
        """Everything below /v2/email. The service's model recognises the operation."""
        return [Route("/v2/email/{rest:path}", self._call, methods=["GET", "POST", "PUT", "DELETE", "PATCH"])]

    async def _call(self, request: Request) -> Response:
        try:
            if not request.headers.get("authorization", "").startswith("AWS4-HMAC-SHA256 "):
                raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token", 403)
            call = self._model.recognise(request.method, request.url.path, request.query_params, await request.body())
            if call.operation == "SendEmail":
                return await self._send(call.params)
            operation = self._account.operations.get(call.operation)
            if operation is None:
                raise AwsError("UnknownOperationException", f"The sandbox has no {call.operation}.", 501)
            fault = await self._faults.strike("ses", [str(call.params)], "read")
            return self._refusal(fault) or answer(operation(call.params))
        except AwsError as error:
            return self._model.error(error)

    async def _send(self, params: dict[str, Any]) -> Response:
        email = read_email(params)
        if not self._account.may_send_as(email.sender):
            raise AwsError(
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region US-EAST-1: "
                + bare(email.sender),
            )
        if email.configuration_set and not self._account.has_set(email.configuration_set):
            raise AwsError("NotFoundException", f"Configuration set <{email.configuration_set}> does not exist.")
        fault = await self._faults.strike("ses", email.recipients)
        refusal = self._refusal(fault)
        if refusal is not None:
            return refusal
        message = self._accept(email)
        if fault.kind == "drop_after":
            return Dropped()
        if fault.kind == "500_after":
            return self._model.error(AwsError("InternalFailure", "Internal failure", 500))
        return answer({"MessageId": message.id})

    def _refusal(self, fault: Fault) -> Response | None:
        if fault.kind == "drop_before":
            return Dropped()
        if fault.kind == "429":
            response = self._model.error(AwsError("TooManyRequestsException", "Maximum sending rate exceeded."))
            if fault.retry_after is not None:
                response.headers["retry-after"] = f"{fault.retry_after:g}"
            return response
        if fault.kind == "daily_quota":
            return self._model.error(AwsError("TooManyRequestsException", "Daily message quota exceeded."))
        if fault.kind == "500":
            return self._model.error(AwsError("InternalFailure", "Internal failure", 500))
        return None

    def _accept(self, email: Email) -> Message:
        now = time.time()
        message = Message(
            seq=0,
            id=f"0100{int(now * 1000):012x}-{uuid.uuid4()}-000000",
            channel="email",
            direction="out",
            sender=email.sender,
            recipients=email.recipients,
            subject=email.subject,
            at=now,
            links=find_links(email.html, email.text),
            headers=email.headers,
            tags=email.tags,
            detail={"configuration_set": email.configuration_set, "to": email.to, "reply_to": email.reply_to},
            happenings=[Happening("send", now)],
        )
        fate = self._fate(email.recipients, now + self._delay)
        quiet = [happening for happening in fate if happening.type == "delivery"]
        message.happenings += quiet
        self._mailbox.accept(message, html=email.html, text=email.text)
        for happening in message.happenings:
            self._events.publish(message, happening.type, happening.at, happening.detail)
        for happening in fate:
            if happening not in quiet:
                self._events.happened(message, happening.type, happening.at, happening.detail)
        return message

    def _fate(self, recipients: list[str], at: float) -> list[Happening]:
        """The future happenings of a message, by recipient: suppressed, simulated, or delivered."""
        held_back = [r for r in recipients if self._account.suppressed(r) or _simulates(r, "suppressionlist")]
        bounced = [r for r in recipients if _simulates(r, "bounce")]
        delivered = [r for r in recipients if r not in held_back and r not in bounced]
        complaining = [r for r in recipients if _simulates(r, "complaint")]
        fate = []
        if delivered:
            fate.append(Happening("delivery", at, {"recipients": delivered}))
        if held_back:
            fate.append(Happening("bounce", at, bounce_detail("Permanent", "OnAccountSuppressionList", held_back)))
        if bounced:
            fate.append(Happening("bounce", at, bounce_detail("Permanent", "General", bounced)))
        if complaining:
            fate.append(Happening("complaint", at + self._delay, complaint_detail(complaining)))
        return fate


def _simulates(address: str, what: str) -> bool:
    local = bare(address).partition("@")[0]
    return is_simulator(address) and local.partition("+")[0] == what
