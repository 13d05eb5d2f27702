"""The webhook for what people change in HubSpot."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog
from fastapi import APIRouter, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from api.feedback.hubspot_signature import SIGNATURE, TIMESTAMP
from api.http.auth import OpenRoute
from api.http.bodies.reading import BATCH, load_json
from api.http.context import Context, Ctx
from api.http.overload import vouch
from api.http.problems import ProblemError, documented
from api.webhooks import hubspot_events
from api.webhooks.hubspot_events import Batch
from store.people import privacy_requests
from store.people.hubspot import applying
from store.people.hubspot.applying import Applied
from store.people.hubspot.hubspot_change import Merge, Properties
from store.people.merging import hubspot_merges as merges

log = structlog.get_logger(__name__)


class BatchRoute(OpenRoute):
    """A call with many events."""

    limit = BATCH


router = APIRouter(prefix="/webhooks", tags=["callbacks"], route_class=BatchRoute)
_REQUEST: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "Events of HubSpot, up to 100.",
        "content": {"application/json": {"schema": {"type": "array", "items": {"type": "object"}}}},
    },
}
_Act = Callable[[AsyncConnection], Awaitable[Applied]]


@router.post(
    "/hubspot",
    status_code=204,
    summary="Changes in HubSpot",
    responses=documented(400, 403, 413, 415),
    openapi_extra=_REQUEST,
)
async def post_hubspot(request: Request, ctx: Ctx) -> Response:
    """Accepts changes that HubSpot signed (version 3) at most five minutes ago, in any order. A repeated one changes
    nothing.

    Mapped properties of contacts become attributes, and events if a person changed them. A completed task is an event.
    A change of somebody who is no contact yet is kept for 30 days.
    """
    body = await request.body()
    if ctx.hubspot.missing:
        ctx.metrics.rejected.labels("hubspot", "not-set-up").inc()
        detail = f"Nobody can tell here whether this is from HubSpot: {ctx.hubspot.missing}."
        raise ProblemError(403, "forbidden", detail)
    headers, scope = request.headers, request.scope
    query = scope["query_string"].decode("latin-1")
    if not ctx.hubspot.genuine(scope["path"], query, body, headers.get(SIGNATURE, ""), headers.get(TIMESTAMP, "")):
        ctx.metrics.rejected.labels("hubspot", "forged").inc()
        detail = "This is not from HubSpot, or too old: no signature of the last five minutes matches."
        raise ProblemError(403, "forbidden", detail)
    vouch(request)
    await _take(
        ctx, hubspot_events.read(load_json(body), ctx.settings.hubspot_app_id, ctx.settings.hubspot_outcome_property)
    )
    return Response(status_code=204)


async def _take(ctx: Context, batch: Batch) -> None:
    """Apply a batch, each object in a transaction of its own: what fails for one does not keep the others back.

    HubSpot repeats the whole batch if anything failed.
    """
    _count(ctx, Applied(batch.unused))
    failed: Exception | None = None
    for act in _acts(ctx, batch):
        try:
            async with ctx.db.transaction() as tx:
                applied = await act(tx)
        except Exception as error:
            log.warning("a change in HubSpot was not applied", error=type(error).__name__)
            failed = failed or error
        else:
            _count(ctx, applied)
    if failed is not None:
        raise failed


def _acts(ctx: Context, batch: Batch) -> list[_Act]:
    properties = Properties.written(ctx.settings.hubspot_attributes, ctx.settings.hubspot_id_property)
    pace = ctx.settings.pace_at_entry
    acts: list[_Act] = [
        partial(applying.apply, object_id=one, changes=changes, properties=properties, pace=pace)
        for one, changes in sorted(batch.changes.items())
    ]
    acts += [partial(applying.complete_task, change=task, pace=pace) for task in batch.completed]
    for merge in batch.merges:
        acts.append(partial(_note_merge, merge=merge, properties=properties))
        acts += [partial(merges.carry_out, object_id=one, properties=properties, pace=pace) for one in merge.objects]
    acts += [
        partial(applying.note_deletion, object_id=one, moment=moment, pace=pace)
        for one, moment in batch.deleted.items()
        if one not in batch.erased
    ]
    acts += [partial(_erase, object_id=one) for one in dict.fromkeys(batch.erased)]  # last, so that nothing comes after
    return acts


async def _note_merge(tx: AsyncConnection, merge: Merge, properties: Properties) -> Applied:
    await merges.note(tx, merge, properties)
    return Applied()


async def _erase(tx: AsyncConnection, object_id: str) -> Applied:
    applied = Applied()
    if not await privacy_requests.erase_of_hubspot(tx, object_id):
        applied.counts["not-ours"] += 1
    return applied


def _count(ctx: Context, applied: Applied) -> None:
    for reason, number in applied.counts.items():
        if reason not in ("told", "own", merges.MERGED) and number:
            ctx.metrics.rejected.labels("hubspot", reason).inc(number)
    for accepted in applied.accepted:
        ctx.metrics.event("hubspot", accepted)
