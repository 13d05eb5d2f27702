"""Delivering one outbox row to Temporal, and what each answer of Temporal means."""

from __future__ import annotations

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

from tracks.program import Program
from tracks.run import MEMO_ENROLLMENT, TASK_QUEUE, WORKFLOW_TYPE, RunInput

RPC_TIMEOUT = timedelta(seconds=10)


@dataclass(frozen=True)
class Delivered:
    """Temporal has it."""


@dataclass(frozen=True)
class Dropped:
    """Nobody is there any more who could use it, and why."""

    reason: str


@dataclass(frozen=True)
class Later:
    """Not now: Temporal is away, busy or refuses, or the contact's previous run is still closing.

    A refusal waits as well (credentials, a namespace without the search attributes, a server too old): an operator
    can mend each of them, and what was accepted may not be lost meanwhile.
    """

    reason: str


Delivery = Delivered | Dropped | Later


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


async def start(client: Client, workflow_id: str, given: RunInput, program: str) -> Delivery:
    """Start a run on an `encoded` program, in place of `given`'s. A repeat that Temporal has already is harmless."""
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
            priority=Priority(fairness_key=given.track[:64]),
            rpc_timeout=RPC_TIMEOUT,
        )
    except WorkflowAlreadyStartedError:
        return await _whose(client, workflow_id, given.enrollment_id)
    except RPCError as error:
        return Later(error.status.name)
    return Delivered()


def _payload(given: RunInput, program: str) -> RawValue:
    """The run's input as the data converter would write it; encoding the program anew took a third of a start."""
    own = given.model_dump_json(exclude={"program"})
    data = f'{own[:-1]},"program":{program}}}'
    return RawValue(Payload(metadata={"encoding": b"json/plain"}, data=data.encode()))


async def _whose(client: Client, workflow_id: str, enrollment_id: str) -> Delivery:
    """A run with this id is there: ours from an earlier try, or the contact's previous one, about to close."""
    try:
        description = await client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        if await description.memo_value(MEMO_ENROLLMENT, default="") == enrollment_id:
            return Delivered()
    except RPCError as error:
        return Later(error.status.name)
    return Later("the contact's previous run is still closing")


async def tell(client: Client, workflow_id: str, signal: str, payload: dict[str, Any]) -> Delivery:
    """Signal a run. One that is over has no use for it: the row is dropped as late."""
    try:
        await client.get_workflow_handle(workflow_id).signal(signal, payload, rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        return Dropped("late") if error.status == RPCStatusCode.NOT_FOUND else Later(error.status.name)
    return Delivered()
