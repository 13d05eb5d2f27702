"""An operator's commands to a live run: end its wait, or end the run."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.fields import SLUG, Body
from api.http.problems import ProblemError, documented, not_found
from api.resources.enrollments import EnrollmentId
from api.temporal import run_queries, run_updates
from api.temporal.run_updates import NoRunError, NotAnsweredError, RefusedError
from store.runs.enrollments import enrollments
from store.schema.rows import Enrollment
from tracks.runs.run_interface import UPDATE_EXIT, UPDATE_SKIP_WAIT

router = APIRouter(prefix="/v1/enrollments", tags=["enrollments"], route_class=KeyedRoute)
_ANSWERS = documented(400, 401, 404, 409, 413, 415, 422, 503, conflict="run-refused")


class SkipWaitRequest(Body):
    """Which wait to end."""

    step: Annotated[
        str | None,
        Field(max_length=100, description="Refuse unless the run waits in this step; absent: any wait."),
    ] = None


class WaitSkipped(BaseModel):
    """The wait that ended."""

    id: str
    step: str


class ExitRequest(Body):
    """Why the run ends."""

    reason: str = Field(
        pattern=SLUG,
        description="The reason, for reports. It appears in the workflow's history: no personal data.",
        examples=["asked-by-phone"],
    )


class Exited(BaseModel):
    """The run has ended."""

    id: str
    reason: str


@router.post("/{enrollment_id}/skip-wait", summary="End a run's wait now", responses=_ANSWERS)
async def skip_wait(enrollment_id: EnrollmentId, ctx: Ctx, body: SkipWaitRequest | None = None) -> WaitSkipped:
    """The run continues with its next step. A `wait_for` continues as after its timeout.

    The answer comes after the run has processed the command. 409 if the run does not wait, or is at another step than
    `step`.
    """
    found = await _live(ctx, enrollment_id)
    if body is not None and body.step is not None:
        journey = await run_queries.ask(ctx.temporal, found.workflow_id, found.id)
        if journey is not None and journey.step != body.step:
            raise _refused(f"The run is at {journey.step or 'no step'}, not at {body.step}.")
    return WaitSkipped(id=enrollment_id, step=await _tell(ctx, found, UPDATE_SKIP_WAIT))


@router.post("/{enrollment_id}/exit", summary="End a run, and wait for its answer", responses=_ANSWERS)
async def exit_run(enrollment_id: EnrollmentId, ctx: Ctx, body: ExitRequest) -> Exited:
    """Same as the Update `exit` in Temporal UI. The answer comes after the run has processed the command.

    The call `end` needs no worker and stops messages from its answer on.
    """
    found = await _live(ctx, enrollment_id)
    return Exited(id=enrollment_id, reason=await _tell(ctx, found, UPDATE_EXIT, body.reason))


async def _live(ctx: Context, enrollment_id: str) -> Enrollment:
    async with ctx.db.transaction() as tx:
        found = await enrollments.get(tx, enrollment_id)
    if found is None:
        raise not_found(f"enrollment {enrollment_id}")
    if found.ended_at is not None:
        raise _refused(f"The run has ended ({found.end_reason}).")
    return found


async def _tell(ctx: Context, found: Enrollment, update: str, *given: str) -> str:
    try:
        return await run_updates.ask(ctx.temporal, found.workflow_id, update, *given)
    except RefusedError as why:
        raise _refused(f"The run refuses it: {why}.") from None
    except NoRunError:
        raise _refused("Temporal has no such live run: it has not begun yet, or has just ended.") from None
    except NotAnsweredError as why:
        raise ProblemError(503, "unavailable", f"The run was not reached: {why}. It may still take effect.") from None


def _refused(why: str) -> ProblemError:
    return ProblemError(409, "run-refused", why)
