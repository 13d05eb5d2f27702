"""Imports: files of contacts, enrolled at a bounded rate that leaves capacity for live events."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect

from api.http.auth import KeyedRoute
from api.http.bodies.reading import media_type
from api.http.context import Context, Ctx
from api.http.fields import SLUG, Body
from api.http.pagination import CursorText, Limit
from api.http.problems import ProblemError, documented, invalid, not_found
from api.resources.enrolling import MAX_PACE, pace_problems
from api.resources.imports.import_conflict import answers, import_conflict
from api.resources.imports.import_receiver import Receiver
from api.resources.imports.upload_lines import Format, unzipped
from store.published import tracks
from store.runs.imports import import_rows, imports
from store.runs.imports.imports import Import
from tracks.runs.import_interface import MAX_RATE, ImportState, workflow_id
from tracks.shared.csv_cells import plain_cell

router = APIRouter(prefix="/v1/imports", tags=["imports"], route_class=KeyedRoute, responses=documented(401, 422))

TYPES: dict[str, Format] = {
    "text/csv": "csv",
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "application/x-jsonlines": "jsonl",
}
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t"}


ImportId = Annotated[str, Path(max_length=64, description="The import's id.")]
Rate = Annotated[float, Field(gt=0, le=MAX_RATE, allow_inf_nan=False, description="Rows a second, at most.")]


class ImportView(BaseModel):
    """An import and its progress."""

    id: str
    track: str
    state: ImportState
    reason: str = Field(description="Why it failed or was cancelled automatically.")
    rows: int = Field(description="Rows received, including bad rows, without the header and empty lines.")
    done: int = Field(description="Rows processed.")
    outcomes: dict[str, int] = Field(
        description="`enrolled`. `existing`: the contact has a live enrollment. `refused`: by the track's re-entry "
        "rule. `bad`. `erased`: since the upload."
    )
    per_second: float = Field(description="Rows a second, at most.")
    rows_per_second: float = Field(description="The current speed.")
    seconds_left: float | None = Field(description="At the current speed; null if unknown.")
    held: str = Field(description="What the import waits for: `outbox` or one of Temporal's task queues; else empty.")
    created_at: datetime
    started_at: datetime | None = Field(description="When its last row was received.")
    ended_at: datetime | None
    workflow_id: str = Field(description="Its workflow in Temporal.")


class ImportPage(BaseModel):
    """Imports, newest first."""

    imports: list[ImportView]
    next: str | None = Field(description="Cursor of the next page; null on the last.")


class RateChange(Body):
    """The new rate."""

    per_second: Rate


def _shown(found: Import) -> ImportView:
    running = found.state == "running"
    speed = found.speed if running else 0.0
    return ImportView(
        id=found.id,
        track=found.track,
        state=found.state,
        reason=found.reason,
        rows=found.rows,
        done=found.done,
        outcomes=dict(found.outcomes),
        per_second=found.per_second,
        rows_per_second=round(speed, 1),
        seconds_left=round((found.rows - found.done) / speed, 1) if speed > 0 else None,
        held=found.held if running else "",
        created_at=found.created_at,
        started_at=found.started_at,
        ended_at=found.ended_at,
        workflow_id=workflow_id(found.id),
    )


@router.post(
    "",
    status_code=202,
    summary="Import a file of contacts into a track",
    responses={
        200: {"model": ImportView, "description": "An upload with this key exists: its import"},
        **answers(400, 404, 408, 409, 413, 415),
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {
                    "schema": {"type": "string", "minLength": 1},
                    "example": "contact_id,email,first_name\nuser_1042,grace@example.com,Grace\n",
                },
                "application/x-ndjson": {
                    "schema": {"type": "string", "minLength": 1},
                    "example": '{"contact_id": "user_1042", "email": "grace@example.com"}\n',
                },
            },
        }
    },
)
async def post_import(
    request: Request,
    response: Response,
    ctx: Ctx,
    track: Annotated[str, Query(pattern=SLUG, description="The track to enrol in.")],
    id_column: Annotated[
        str, Query(min_length=1, max_length=200, description="The column of CSV that holds your ids of the contacts.")
    ] = "contact_id",
    delimiter: Annotated[
        Literal["comma", "semicolon", "tab"], Query(description="What separates the values of CSV.")
    ] = "comma",
    per_second: Annotated[
        float | None, Query(gt=0, le=MAX_RATE, allow_inf_nan=False, description="Rows a second, at most.")
    ] = None,
    pace: Annotated[float, Query(ge=1, le=MAX_PACE, allow_inf_nan=False, description="Pace of each enrollment.")] = 1.0,
    idempotency_key: Annotated[
        str | None,
        Header(min_length=1, max_length=200, description="An upload sent again with the same key is the same import."),
    ] = None,
) -> ImportView:
    """The body is stored while it arrives, so it may be of any size. The rows are applied later, at a bounded rate.

    A wrong header is refused at once. A bad row is reported and does not stop the import. If an upload breaks off,
    nothing of it is imported.
    """
    kind = TYPES.get(media_type(request))
    if kind is None:
        raise ProblemError(415, "unsupported-media-type", "Send the body as text/csv or application/x-ndjson.")
    if errors := pace_problems(ctx, pace, parameter="pace"):
        raise invalid(errors)
    pieces = unzipped(request.stream(), request.headers.get("content-encoding", "identity").strip().lower())
    async with ctx.db.transaction() as tx:
        known = await imports.by_key(tx, idempotency_key) if idempotency_key else None
        if known is None and await tracks.get(tx, track) is None:
            raise not_found(f"track {track}")
    if known is not None:
        if known.track != track:
            raise import_conflict(f"This key was used for an import into {known.track}.")
        async for _ in pieces:
            pass  # a client that is still sending would treat an early answer as a broken connection
        response.status_code = 200
        return _shown(known)
    wanted = {
        "track": track,
        "options": {"format": kind, "pace": pace},
        "per_second": per_second or ctx.settings.import_rate,
        "idempotency_key": idempotency_key,
    }
    return _shown(await _receive(Receiver(ctx.db, kind, DELIMITERS[delimiter], id_column, wanted), pieces))


async def _receive(receiver: Receiver, pieces: AsyncIterator[bytes]) -> Import:
    try:
        return await receiver.take(pieces)
    except ClientDisconnect:
        await receiver.give_up()
        raise ProblemError(400, "malformed-body", "The upload broke off; nothing was imported.") from None
    except BaseException:
        await asyncio.shield(receiver.give_up())
        raise


@router.get("", summary="List imports")
async def list_imports(
    ctx: Ctx,
    track: Annotated[str | None, Query(pattern=SLUG, description="Only imports into this track.")] = None,
    state: Annotated[ImportState | None, Query(description="Only imports in this state.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> ImportPage:
    """Newest first. Imports are kept for 30 days after their end."""
    listing = ("imports", track, state)
    position = ctx.cursors.read(listing, cursor)
    async with ctx.db.transaction() as tx:
        before = str(position[0]) if position else None
        found = await imports.list_page(tx, track=track, state=state, before=before, limit=limit + 1)
    shown, following = ctx.cursors.cut(listing, found, limit, lambda one: [one.id])
    return ImportPage(
        imports=[_shown(one) for one in shown],
        next=following,
    )


@router.get("/{import_id}", summary="How far an import is", responses=documented(404))
async def get_import(import_id: ImportId, ctx: Ctx) -> ImportView:
    """The import's progress: how many rows had which result."""
    async with ctx.db.transaction() as tx:
        found = await imports.get(tx, import_id)
    return _shown(found or _none(import_id))


@router.get(
    "/{import_id}/problems",
    summary="The rows that enrolled nobody, and why",
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}, **documented(404)},
)
async def get_problems(import_id: ImportId, ctx: Ctx) -> StreamingResponse:
    """A CSV file, ordered by line of the upload: every problem of every row, with the contact's id if there is one."""
    async with ctx.db.transaction() as tx:
        if await imports.get(tx, import_id) is None:
            _none(import_id)
    return StreamingResponse(_problem_file(ctx, import_id), media_type="text/csv; charset=utf-8")


async def _problem_file(ctx: Context, import_id: str) -> AsyncIterator[str]:
    yield _csv([["line", "kind", "contact_id", "field", "reason"]])
    after = (0, 0)
    while True:
        async with ctx.db.transaction() as tx:
            found = await import_rows.problems_after(tx, import_id, after)
        if not found:
            return
        yield _csv([[one.line, one.kind, one.contact_id or "", one.field, one.reason] for _, one in found])
        after = (found[-1][1].line, found[-1][0])


def _csv(rows: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([plain_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


@router.post("/{import_id}/pause", summary="Pause an import", responses=answers(404, 409))
async def pause_import(import_id: ImportId, ctx: Ctx) -> ImportView:
    """From the answer on, nobody more is enrolled until the import is resumed. Existing enrollments continue."""
    return await _steer(ctx, import_id, "pause")


@router.post("/{import_id}/resume", summary="Resume an import", responses=answers(404, 409))
async def resume_import(import_id: ImportId, ctx: Ctx) -> ImportView:
    """The import continues where it stopped."""
    return await _steer(ctx, import_id, "resume")


@router.post("/{import_id}/cancel", summary="Cancel an import", responses=answers(404, 409))
async def cancel_import(import_id: ImportId, ctx: Ctx) -> ImportView:
    """Ends the import for good and deletes the waiting rows. Enrolled contacts stay enrolled."""
    return await _steer(ctx, import_id, "cancel")


@router.post(
    "/{import_id}/rate",
    summary="Change how fast an import goes",
    responses=answers(400, 404, 409, 413, 415),
)
async def set_rate(import_id: ImportId, body: RateChange, ctx: Ctx) -> ImportView:
    """The new rate holds from the next rows on."""
    return await _steer(ctx, import_id, "rate", body.per_second)


async def _steer(
    ctx: Context, import_id: str, word: Literal["pause", "resume", "cancel", "rate"], per_second: float | None = None
) -> ImportView:
    async with ctx.db.transaction() as tx:
        found = await imports.steer(tx, import_id, word, per_second=per_second)
    found = found or _none(import_id)
    asked = {"pause": "paused", "resume": "running", "cancel": "cancelled", "rate": found.state}[word]
    if found.state != asked or found.state == "receiving" or (word == "rate" and found.ended_at):
        raise import_conflict(f"The import is {found.state}.")
    return _shown(found)


def _none(import_id: str) -> Any:
    raise not_found(f"import {import_id}")
