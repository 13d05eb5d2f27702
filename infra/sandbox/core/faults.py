"""Misbehaviour on demand: which provider fails how, for how many calls, and for whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PROVIDERS = ("ses", "twilio", "hubspot", "webhook", "callback")
KINDS = {
    "latency": "sleep `seconds` before going on as usual",
    "429": "refuse as throttled, with Retry-After when `retry_after` is given",
    "daily_quota": "ses: refuse because the account has sent what it may in 24 hours",
    "500": "refuse with a server error; nothing is accepted",
    "500_after": "accept, then answer with a server error",
    "drop_before": "close the connection without accepting",
    "drop_after": "accept, then close the connection without answering",
    "undelivered": "twilio: accept, then report the message as undelivered with `error_code`",
    "duplicate": "callback: deliver it twice",
}


@dataclass(slots=True)
class Fault:
    """One order to misbehave. `times` None means until it is deleted."""

    provider: str
    kind: str
    times: int | None = 1
    seconds: float = 1.0
    retry_after: float | None = None
    error_code: int = 30003
    match: str = ""
    """Strikes only calls about a recipient that contains this text."""
    operation: str = "send"
    """send, or read for the list and get calls; hubspot's calls are all `send`."""


NO_FAULT = Fault("", "", times=0)


class BadFault(ValueError):
    """An order that makes no sense; the text says what would."""


class Faults:
    """The orders in force, oldest first. They live in memory: a restarted sandbox behaves."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []

    def order(self, data: dict[str, Any]) -> Fault:
        """Add an order given as JSON; BadFault when it is not one."""
        unknown = data.keys() - Fault.__dataclass_fields__.keys()
        if unknown:
            raise BadFault(f"unknown field {min(unknown)!r}; there are {', '.join(Fault.__dataclass_fields__)}")
        if data.get("provider") not in PROVIDERS:
            raise BadFault(f"provider must be one of {', '.join(PROVIDERS)}")
        if str(data.get("kind")) not in KINDS:
            raise BadFault(f"kind must be one of {', '.join(KINDS)}")
        fault = Fault(**{**data, "kind": str(data["kind"])})
        self._orders.append(fault)
        return fault

    def clear(self) -> None:
        """Forget every order."""
        self._orders.clear()

    def listed(self) -> list[dict[str, Any]]:
        """The orders in force as JSON."""
        return [asdict(fault) for fault in self._orders]

    async def strike(self, provider: str, about: Iterable[str], operation: str = "send") -> Fault:
        """Use up one time of the first order that fits, or return NO_FAULT.

        A `latency` order sleeps here, and then the next order that fits is taken as well, so that
        a slow call can also be a failing one.
        """
        texts = [text.lower() for text in about]
        for fault in list(self._orders):
            if fault.provider != provider or fault.operation != operation:
                continue
            if fault.match and not any(fault.match.lower() in text for text in texts):
                continue
            if fault.times is not None:
                fault.times -= 1
                if fault.times <= 0:
                    self._orders.remove(fault)
            if fault.kind != "latency":
                return fault
            await asyncio.sleep(fault.seconds)
        return NO_FAULT


class Dropped(Response):
    """Closes the client's connection where another response would be sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"]["sandbox.transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass
