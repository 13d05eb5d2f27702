"""Delivering one outbox row to Temporal, and what each answer of Temporal means."""

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

from store.runs.outbox import RUN_FULL
from tracks.program.history_bounds import bounded
from tracks.program.program import Program
from tracks.program.run import MEMO_ENROLLMENT, SIGNAL_END, TASK_QUEUE, WORKFLOW_TYPE, EndSignal, RunInput

RPC_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True)
class Delivered:
    """Temporal has it; but for `left_out` properties, which were too large."""

    left_out: int = 0


@dataclass(frozen=True)
class Dropped:
    """Nobody is there any more who could use it, and why."""

    reason: str


@dataclass(frozen=True)
class Later:
    """Not now: Temporal is away, busy or refuses, or the contact's previous run is still closing.

    A refusal waits as well (credentials, a namespace without the search attributes, a server too old): an operator
    can mend each of them, and what was accepted may not be lost meanwhile. So does what a run is told that takes no
    more signals: it does again once it has continued as new.
    """

    reason: str


@dataclass(frozen=True)
class Refused:
    """Temporal will never take it: it is set aside, so that nothing waits for it. `cause` is one of few words."""

    cause: str
    reason: str


Delivery = Delivered | Dropped | Later | Refused

_TOLD_EVERY = 60
"""A previous run that does not end is told to once in so many tries, half an hour: it takes 10,000 signals at most."""

TOO_LARGE = "too large"
TOO_LONG = "name too long"
# What a server says of that (frontend and gRPC of 1.20 to 1.32; none has a status of its own): of the delivery itself,
# that is. A history or a state that is too large is the run's, and the server ends that run.
_TOO_LARGE = re.compile(r"(blob data|memo) size exceeds|received message .*larger than max", re.IGNORECASE)
_TOO_LONG = re.compile(r"length exceeds limit|exceeds maximum allowed length", re.IGNORECASE)
_FULL = re.compile(r"execution limit for signal events", re.IGNORECASE)
_MAY_BE_FOR_GOOD = (RPCStatusCode.INVALID_ARGUMENT, RPCStatusCode.RESOURCE_EXHAUSTED)


def refusal(error: RPCError) -> Later | Refused:
    """What an answer of Temporal's that is no success means: tried again, unless its words say that it never will be.

    The same status stands for both: INVALID_ARGUMENT also for search attributes that an operator has yet to register,
    RESOURCE_EXHAUSTED also for a server that is busy.
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
    """A program's JSON as `start` takes it: the same for every run of a track version, so it is made once."""
    return program.model_dump_json()


async def start(
    client: Client, workflow_id: str, given: RunInput, program: str, *, about: str | None = None, tried: int = 0
) -> Delivery:
    """Start a run on an `encoded` program, in place of `given`'s. A repeat that Temporal has already is harmless.

    `about` is what Temporal UI tells of the track; `tried` is how often it has been tried before.
    """
    try:
        await client.start_workflow(
            WORKFLOW_TYPE,
            _payload(given, program),
            id=workflow_id,
            task_queue=TASK_QUEUE,
            # The database decides re-entry before the row is written, so a closed run never stands in the way.
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
    """The run's input as the data converter would write it. The program is taken as it was encoded before."""
    own = given.model_dump_json(exclude={"program"})
    data = f'{own[:-1]},"program":{program}}}'
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data.encode()))


async def _whose(client: Client, workflow_id: str, enrollment_id: str, tried: int) -> Delivery:
    """A run with this id is there: ours from an earlier try, or the contact's previous one.

    That one's enrollment has ended, else ours would not be there: it is about to close, or, where an event began it
    anew, has yet to be told.
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
    """Signal a run. One that is over has no use for it: the row is dropped as late.

    An event with properties too large is told without these: one that was accepted before they were bounded there.
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
