"""Twilio's Messages API: create, fetch, list."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.sandbox.core.faults import Dropped, Fault, Faults
from infra.sandbox.core.links import find_links
from infra.sandbox.core.mailbox import Happening, Mailbox, Message
from infra.sandbox.twilio.callbacks import TwilioCallbacks
from infra.sandbox.twilio.form import API, TwilioError, new_sid, resource, sent_at

_NUMBER = re.compile(r"\+[1-9]\d{6,14}")
_SERVICE = re.compile(r"MG[0-9a-fA-F]{32}")
_SENDER = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 ]{1,11}")


class Twilio:
    """The part of Twilio that sends messages."""

    def __init__(
        self, mailbox: Mailbox, callbacks: TwilioCallbacks, faults: Faults, auth_token: str, delivery_delay: float
    ) -> None:
        self._mailbox = mailbox
        self._callbacks = callbacks
        self._faults = faults
        self._token = auth_token
        self._delay = delivery_delay

    def routes(self) -> list[Route]:
        """The Messages resource of any account."""
        base = f"{API}/Accounts/{{account}}/Messages"
        return [
            Route(f"{base}.json", self._guarded(self._create), methods=["POST"]),
            Route(f"{base}.json", self._guarded(self._list), methods=["GET"]),
            Route(f"{base}/{{sid}}.json", self._guarded(self._fetch), methods=["GET"]),
        ]

    def _guarded(self, handler: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                self._authenticate(request)
                response: Response = await handler(request)
                return response
            except TwilioError as error:
                return error.response()

        return endpoint

    def _authenticate(self, request: Request) -> None:
        account = request.path_params["account"]
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        try:
            given = base64.b64decode(value).decode()
        except (binascii.Error, UnicodeDecodeError):
            given = ""
        wanted = f"{account}:{self._token}"
        if scheme.lower() != "basic" or not hmac.compare_digest(given.encode(), wanted.encode()):
            raise TwilioError(401, 20003, "Authenticate")
        if not re.fullmatch(r"AC[0-9a-fA-F]{32}", account):
            raise TwilioError(404, 20404, f"The requested resource {request.url.path} was not found")

    async def _create(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        to, body, sender = form.get("To", ""), form.get("Body", ""), form.get("From", "")
        service = form.get("MessagingServiceSid") or None
        self._check(form, to, body, sender, service)
        fault = await self._faults.strike("twilio", [to])
        refusal = _refusal(fault)
        if refusal is not None:
            return refusal
        message = self._accept(request.path_params["account"], form, service, fault)
        if fault.kind == "drop_after":
            return Dropped()
        if fault.kind == "500_after":
            raise TwilioError(500, 20500, "Internal Server Error")
        return JSONResponse(resource(message), 201)

    def _check(self, form: dict[str, str], to: str, body: str, sender: str, service: str | None) -> None:
        if not to:
            raise TwilioError(400, 21604, "A 'To' phone number is required.")
        if not sender and not service:
            raise TwilioError(400, 21603, "A 'From' phone number is required.")
        if not body:
            raise TwilioError(400, 21602, "Message body is required.")
        if len(body) > 1600:
            raise TwilioError(400, 21617, "The concatenated message body exceeds the 1600 character limit")
        if not _NUMBER.fullmatch(to) or to == "+15005550001":
            raise TwilioError(400, 21211, f"Invalid 'To' Phone Number: {to[:6]}XXXX")
        if to == "+15005550009":
            raise TwilioError(400, 21614, "'To' number is not a valid mobile number")
        if service and not _SERVICE.fullmatch(service):
            raise TwilioError(404, 21701, f"The Messaging Service {service} does not exist")
        callback = form.get("StatusCallback", "")
        if callback and not (urlsplit(callback).scheme in ("http", "https") and urlsplit(callback).hostname):
            raise TwilioError(400, 21609, "The 'StatusCallback' URL is not a valid URL")
        if sender and (not _SENDER.fullmatch(sender) or sender == "+15005550001"):
            raise TwilioError(400, 21212, "Invalid From Number (caller ID)")
        if self._callbacks.has_opted_out(to, sender or service or ""):
            raise TwilioError(400, 21610, "Attempt to send to unsubscribed recipient")

    def _accept(self, account: str, form: dict[str, str], service: str | None, fault: Fault) -> Message:
        now, delay = time.time(), self._delay
        end = Happening("delivered", now + 2 * delay)
        if fault.kind == "undelivered":
            detail = {"error_code": fault.error_code, "error_message": "Not delivered"}
            end = Happening("undelivered", now + 2 * delay, detail)
        message = Message(
            seq=0,
            id=new_sid(),
            channel="sms",
            direction="out",
            sender=form.get("From") or str(service),
            recipients=[form["To"]],
            subject=form["Body"],
            at=now,
            links=find_links("", form["Body"]),
            detail={
                "account": account,
                "messaging_service": service,
                "status_callback": form.get("StatusCallback", ""),
            },
            happenings=[Happening("queued", now), Happening("sent", now + delay), end],
        )
        self._mailbox.accept(message)
        self._callbacks.announce(message)
        return message

    async def _fetch(self, request: Request) -> Response:
        refusal = _refusal(await self._faults.strike("twilio", [request.path_params["sid"]], "read"))
        message = self._mailbox.get(request.path_params["sid"])
        if refusal is not None:
            return refusal
        if message is None or message.detail.get("account") != request.path_params["account"]:
            raise TwilioError(404, 20404, f"The requested resource {request.url.path} was not found")
        return JSONResponse(resource(message))

    async def _list(self, request: Request) -> Response:
        query = request.query_params
        refusal = _refusal(await self._faults.strike("twilio", [query.get("To", "")], "read"))
        if refusal is not None:
            return refusal
        size = min(max(_number(query.get("PageSize"), 50), 1), 1000)
        page = max(_number(query.get("Page"), 0), 0)
        found = [m for m in self._candidates(query.get("To", ""), query.get("From", "")) if self._matches(m, request)]
        part = found[page * size : (page + 1) * size]

        def uri(number: int) -> str:
            kept = [(k, v) for k, v in query.multi_items() if k not in ("Page", "PageSize", "PageToken")]
            return f"{request.url.path}?{urlencode([*kept, ('PageSize', size), ('Page', number)])}"

        return JSONResponse(
            {
                "messages": [resource(message) for message in part],
                "start": page * size,
                "end": max(page * size + len(part) - 1, 0),
                "page": page,
                "page_size": size,
                "uri": uri(page),
                "first_page_uri": uri(0),
                "previous_page_uri": uri(page - 1) if page else None,
                "next_page_uri": uri(page + 1) if len(found) > (page + 1) * size else None,
            }
        )

    def _candidates(self, to: str, sender: str) -> list[Message]:
        # Messages are indexed by the person, who may be sender or recipient.
        if to or sender:
            filed = {m.id: m for p in (to, sender) if p for m in self._mailbox.newest_first(person=p, channel="sms")}
            if filed:
                return sorted(filed.values(), key=lambda m: -m.seq)
        return list(self._mailbox.newest_first(channel="sms"))

    @staticmethod
    def _matches(message: Message, request: Request) -> bool:
        query = request.query_params
        if message.detail["account"] != request.path_params["account"]:
            return False
        if query.get("To") and message.recipients[0] != query["To"]:
            return False
        if query.get("From") and message.sender != query["From"]:
            return False
        sent = sent_at(message)
        # A queued message has no date yet; Twilio uses the day on which it was created.
        moment = datetime.fromtimestamp(int(message.at if sent is None else sent), UTC)
        for name, value in query.multi_items():
            if name.startswith("DateSent") and value and not _date_fits(name.removeprefix("DateSent"), value, moment):
                return False
        return True


def _refusal(fault: Fault) -> Response | None:
    if fault.kind == "drop_before":
        return Dropped()
    if fault.kind == "429":
        response = TwilioError(429, 20429, "Too Many Requests").response()
        if fault.retry_after is not None:
            response.headers["retry-after"] = f"{fault.retry_after:g}"
        return response
    return TwilioError(500, 20500, "Internal Server Error").response() if fault.kind == "500" else None


def _date_fits(side: str, value: str, moment: datetime) -> bool:
    """Whether a moment is on (``''``), before (``<``) or after (``>``) a date or a time, all inclusive."""
    try:
        wanted = datetime.fromisoformat(value)
    except ValueError:
        raise TwilioError(400, 20001, f"Invalid DateSent: {value}") from None
    wanted = wanted.replace(tzinfo=UTC) if wanted.tzinfo is None else wanted
    whole_day = len(value) == 10
    if not side:
        # The client writes a date as midnight, so both forms mean the day.
        return moment.date() == wanted.date()
    if side == "<":
        return moment < wanted + timedelta(days=1) if whole_day else moment <= wanted
    return moment >= wanted


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isdigit() else otherwise
