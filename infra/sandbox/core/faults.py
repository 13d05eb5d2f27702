"""Faults on demand: which provider fails, how, for how many calls, and for which recipients."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PROVIDERS = ("ses", "twilio", "hubspot", "webhook", "callback")
KINDS = {
    "latency": "sleep `seconds` before going on as usual, or until the faults are deleted",
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
    """One ordered fault. `times` None means until it is deleted."""

    provider: str
    kind: str
    times: int | None = 1
    seconds: float = 1.0
    retry_after: float | None = None
    error_code: int = 30003
    match: str = ""
    """Only calls for a recipient that contains this text fail."""
    operation: str = "send"
    """`send`, or `read` for the list and get calls. All of hubspot's calls are `send`."""


NO_FAULT = Fault("", "", times=0)


class BadFault(ValueError):
    """An invalid order. The text says what is valid."""


class Faults:
    """The active faults, oldest first. They are in memory only: a restart ends them."""

    def __init__(self) -> None:
        self._orders: list[Fault] = []
        self._cleared = asyncio.Event()

    def order(self, data: dict[str, Any]) -> Fault:
        """Add a fault given as JSON. Raises BadFault if it is invalid."""
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
        """End all faults, and the sleep of each call that one of them delays."""
        self._orders.clear()
        self._cleared.set()
        self._cleared = asyncio.Event()

    def listed(self) -> list[dict[str, Any]]:
        """The active faults as JSON."""
        return [asdict(fault) for fault in self._orders]

    async def strike(self, provider: str, about: Iterable[str], operation: str = "send") -> Fault:
        """Use the first fault that fits the call once, and return it; NO_FAULT if none fits.

        A `latency` fault sleeps here. Then the next fault that fits is used too, so that a slow call can also fail.
        """
        texts = [text.lower() for text in about]
        cleared = self._cleared
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
            with suppress(TimeoutError):
                await asyncio.wait_for(cleared.wait(), fault.seconds)
                return NO_FAULT
        return NO_FAULT


class Dropped(Response):
    """Closes the client's connection instead of sending a response."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["extensions"]["sandbox.transport"].abort()
        while (await receive())["type"] != "http.disconnect":
            pass
