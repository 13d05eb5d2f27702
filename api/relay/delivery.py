"""Deliver one outbox row to Temporal, and interpret Temporal's answer."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.common import (
    Priority,
    RawValue,
    SearchAttributeKey,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from store.runs.outbox.outbox import RUN_FULL
from tracks.runs.history_bounds import bounded
from tracks.runs.program import Program
from tracks.runs.run_interface import MEMO_ENROLLMENT, SIGNAL_END, TASK_QUEUE, WORKFLOW_TYPE, EndSignal, RunInput

RPC_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True)
class Delivered:
    """Temporal has the row. `left_out` counts properties that were too large and were left out."""

    left_out: int = 0


@dataclass(frozen=True)
class Dropped:
    """No run can use the row; the reason says why."""

    reason: str


@dataclass(frozen=True)
class Later:
    """Try again later: Temporal is down, busy or refuses, or the contact's previous run is still closing.

    Some refusals are tried again as well (credentials, missing search attributes, a server too old): an operator can
    correct each of them, and the accepted row must not be lost meanwhile. A signal to a run that takes no more signals
    is also tried again: the run takes signals again after it has continued as new.
    """

    reason: str


@dataclass(frozen=True)
class Refused:
    """Temporal will never take the row: it is set aside, so that nothing waits for it. `cause` is from a fixed set."""

    cause: str
    reason: str


Delivery = Delivered | Dropped | Later | Refused

_TOLD_EVERY = 60
"""Every so many tries (half an hour) the previous run is told again to end. A run takes at most 10,000 signals."""

TOO_LARGE = "too large"
TOO_LONG = "name too long"
# The server's texts about a delivery that is too large (frontend and gRPC of 1.20 to 1.32; there is no status of its
# own). They are not about a history or a state that is too large: then the server ends the run.
_TOO_LARGE = re.compile(r"(blob data|memo) size exceeds|received message .*larger than max", re.IGNORECASE)
_TOO_LONG = re.compile(r"length exceeds limit|exceeds maximum allowed length", re.IGNORECASE)
_FULL = re.compile(r"execution limit for signal events", re.IGNORECASE)
_MAY_BE_FOR_GOOD = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.RESOURCE_EXHAUSTED)


def refusal(error: RPCError) -> Later | Refused:
    """Interpret an error from Temporal: the delivery is tried again, unless the error's text says that it never
    succeeds.

    The status alone cannot tell: INVALID_ARGUMENT also means search attributes that an operator has yet to register,
    RESOURCE_EXHAUSTED also means a busy server.
    """
    said = f"{error.status.name}: {error.message}"[:300]
    if error.status in _MAY_BE_FOR_GOOD:
        if _TOO_LARGE.search(error.message):
            return Refused(TOO_LARGE, said)
        if _TOO_LONG.search(error.message):
            return Refused(TOO_LONG, said)
        if _FULL.search(error.message):
            return Later(RUN_FULL)
    return Later(said)


_TRACK = SearchAttributeKey.for_keyword("Track")
_VERSION = SearchAttributeKey.for_int("TrackVersion")
_RUNNING = SearchAttributePair(SearchAttributeKey.for_keyword("State"), "running")


def _attributes(given: RunInput) -> TypedSearchAttributes:
    return TypedSearchAttributes(
        [SearchAttributePair(_TRACK, given.track), SearchAttributePair(_VERSION, given.version), _RUNNING]
    )


def encoded(program: Program) -> str:
    """A program's JSON as `start` takes it. All runs of a track version share it, so it is made once."""
    return program.model_dump_json()


async def start(
    client: Client, workflow_id: str, given: RunInput, program: str, *, about: str | None = None, tried: int = 0
) -> Delivery:
    """Start a run with an `encoded` program in place of that of `given`. Starting the same run again is harmless.

    `about` is the track's description in Temporal UI. `tried` is the number of earlier tries.
    """
    try:
        await client.start_workflow(
            WORKFLOW_TYPE,
            _payload(given, program),
            id=workflow_id,
            task_queue=TASK_QUEUE,
            # The database decided about re-entry before it wrote the row, so a closed run must not prevent the start.
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
            memo={MEMO_ENROLLMENT: given.enrollment_id},
            search_attributes=_attributes(given),
            static_summary=f"{given.track} v{given.version}, contact {given.contact_id}"[:200],
            static_details=about,
            priority=Priority(fairness_key=given.track[:64]),
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        return await _whose(client, workflow_id, given.enrollment_id, tried)
    except RPCError as error:
        return refusal(error)
    return Delivered()


def _payload(given: RunInput, program: str) -> RawValue:
    """The run's input as the data converter would write it, with the program inserted as already encoded."""
    own = given.model_dump_json(exclude={"program"})
    data = f'{own[:-1]},"program":{program}}}'
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data.encode()))


async def _whose(client: Client, workflow_id: str, enrollment_id: str, tried: int) -> Delivery:
    """A run with this id exists: find out whether it is ours from an earlier try, or the contact's previous run.

    The previous enrollment has ended, else the new one would not exist. Its run is about to close, or, if an event
    started the new enrollment, it has not yet been told to end.
    """
    try:
        description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        holder = await description.memo_value(MEMO_ENROLLMENT, default="")
        if holder == enrollment_id:
            return Delivered()
        if holder and tried % _TOLD_EVERY == 1:
            end = EndSignal(reason="restarted", enrollment_id=holder).model_dump(mode="json")
            previous = client.get_workflow_handle(workflow_id, run_id=description.run_id)
            await previous.signal(SIGNAL_END, end, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        return refusal(error)
    return Later("the contact's previous run is still closing")


async def tell(client: Client, workflow_id: str, signal: str, payload: dict[str, Any]) -> Delivery:
    """Signal a run. If the run is over, the row is dropped as late.

    If the properties of an event are too large, it is sent without them. Newer events cannot have such properties: the
    API bounds them.
    """
    answer = await _signal(client, workflow_id, signal, payload)
    given: dict[str, Any] = payload.get("properties") or {}
    if not isinstance(answer, Refused) or (kept := bounded(given)) == given:
        return answer
    answer = await _signal(client, workflow_id, signal, payload | {"properties": kept})
    return Delivered(len(given) - len(kept)) if isinstance(answer, Delivered) else answer


async def _signal(client: Client, workflow_id: str, signal: str, payload: dict[str, Any]) -> Delivery:
    try:
        await client.get_workflow_handle(workflow_id).signal(signal, payload, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        return Dropped("late") if error.status == RPCStatusCode.NOT_FOUND else refusal(error)
    return Delivered()
