"""Apply imports chunk by chunk: `apply_chunk` and `steer_import`.

The contacts, enrolments, problems and counts of a chunk are stored in the same transaction that deletes the chunk. So
no row is applied twice or lost, even after a crash. Before each chunk the import waits while live traffic has priority.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import APPLY_CHUNK, STEER_IMPORT, ChunkCall, ImportProgress, SteerCall
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.engine.errors import UnstorableError
from store.people import contacts
from store.people.contacts import Changes
from store.runs import run_changes
from store.runs.enrollments.enrolling import Enrol, Enrolled
from store.runs.imports import import_rows, imports
from store.runs.imports.import_rows import Problem, Raw
from store.runs.imports.imports import Import
from store.runs.outbox import outbox
from tracks.contacts.import_row import BadRowError, Row, read_line, read_values

MOST_WAITING = 500
"""An import waits while it has this many undelivered rows in the outbox: the relay, or Temporal, does not keep up."""
PATIENCE = 10.0
"""Seconds for which one attempt waits before it reports that it waits."""
LOOK = 0.25
_CHANGED = ("email", "phone", "timezone", "locale", "attributes")

Busy = Callable[[], Awaitable[str]]
"""Returns the name of a Temporal queue that is overloaded, or an empty text."""


@dataclass(frozen=True, slots=True)
class Readable:
    """A valid row, and its line."""

    line: int
    row: Row


class ImportActivities:
    """The activities of imports. `busy` is asked before each chunk."""

    def __init__(self, db: Database, busy: Busy) -> None:
        self._db, self._busy = db, busy

    @activity.defn(name=APPLY_CHUNK)
    @without_details
    async def apply_chunk(self, call: ChunkCall) -> ImportProgress:
        """Apply the next rows; none if the import is paused, has ended, or has to wait."""
        async with self._db.transaction() as tx:
            job = await imports.get(tx, call.import_id)
            rows = await import_rows.read_chunk(tx, call.import_id, job.next_chunk) if job else None
        if job is None:
            return ImportProgress(state="failed")
        if job.state != "running":
            return _progress(job)
        if held := await self._give_way():
            async with self._db.transaction() as tx:
                await import_rows.hold(tx, job.id, held)
            return _progress(job, held=held)
        # Checking addresses takes a while; in a thread, it does not block the workflows of this process.
        good, bad = await asyncio.to_thread(read_rows, rows or [], job)
        try:
            return await self._apply(job, good, bad)
        except (UnstorableError, IntegrityError):
            return await self._apply(job, good, bad, one_by_one=True)

    async def _give_way(self) -> str:
        """Wait a while for whatever has priority; returns what it is, if it still has."""
        for _ in range(int(PATIENCE / LOOK)):
            async with self._db.transaction() as tx:
                waiting = await outbox.bulk_waiting(tx, MOST_WAITING)
            held = "outbox" if waiting >= MOST_WAITING else await self._busy()
            if not held or (activity.in_activity() and activity.is_worker_shutdown()):
                return held
            await asyncio.sleep(LOOK)
        return held

    async def _apply(
        self, before: Import, good: Sequence[Readable], bad: Sequence[Problem], *, one_by_one: bool = False
    ) -> ImportProgress:
        async with self._db.transaction() as tx:
            job = await imports.lock(tx, before.id)
            if job is None or job.state != "running" or job.next_chunk != before.next_chunk:
                return _progress(job or before)
            if job.next_chunk >= job.chunks:
                return _progress(await import_rows.complete(tx, job))
            if not good and not bad:
                raise RuntimeError("the next chunk is missing")
            problems = list(bad)
            outcomes: Counter[str] = Counter(bad=len({problem.line for problem in bad}))
            if one_by_one:
                for row in good:
                    try:
                        async with tx.savepoint():
                            found, told = await enter(tx, job, [row])
                    except (DataError, UnicodeEncodeError, IntegrityError):
                        found, told = Counter(bad=1), [Problem(row.line, "bad", "cannot be stored")]
                    outcomes += found
                    problems += told
            else:
                found, told = await enter(tx, job, good)
                outcomes += found
                problems += told
            problems.sort(key=lambda problem: problem.line)
            after = await import_rows.applied(tx, job, {k: n for k, n in outcomes.items() if n}, problems)
        return _progress(after, applied=sum(outcomes.values()))

    @activity.defn(name=STEER_IMPORT)
    @without_details
    async def steer_import(self, call: SteerCall) -> ImportProgress:
        """Carry out the command that an operator gave to the import in Temporal UI."""
        async with self._db.transaction() as tx:
            job = await imports.steer(tx, call.import_id, call.word, per_second=call.per_second)
        return ImportProgress(state="failed") if job is None else _progress(job)


def read_rows(rows: Sequence[Raw], job: Import) -> tuple[list[Readable], list[Problem]]:
    """The valid rows, and all problems of the others."""
    columns = [tuple(column) for column in job.options.get("columns", ())]
    good: list[Readable] = []
    bad: list[Problem] = []
    for line, raw in rows:
        try:
            good.append(Readable(line, read_line(raw) if isinstance(raw, str) else read_values(raw, columns)))
        except BadRowError as error:
            bad += [Problem(line, "bad", wrong.reason, wrong.field, error.contact_id) for wrong in error.wrong]
    return good, bad


async def enter(tx: AsyncConnection, job: Import, rows: Sequence[Readable]) -> tuple[Counter[str], list[Problem]]:
    """Create or change the contacts and enrol them, in the file's order; returns counts, and who was not enrolled.

    A contact who was erased after the upload stays erased: the import was requested before the erasure.
    """
    outcomes: Counter[str] = Counter()
    problems: list[Problem] = []
    erased = await contacts.erased_since(tx, list({it.row.contact_id for it in rows}), job.created_at)
    left = [it for it in rows if it.row.contact_id not in erased]
    for it in rows:
        if it.row.contact_id in erased:
            outcomes["erased"] += 1
            problems.append(Problem(it.line, "erased", "was erased after the upload", "", it.row.contact_id))
    if left:
        changes = [(it.row.contact_id, _changes(it.row)) for it in left]
        await contacts.upsert_many(tx, changes, bulk=True, pace=_pace(job))
        wishes = [_wish(job, it.row) for it in left]
        for it, result in zip(left, await run_changes.enroll_many(tx, wishes, bulk=True), strict=True):
            outcome, problem = _outcome(it, result)
            outcomes[outcome] += 1
            if problem:
                problems.append(problem)
    return outcomes, problems


def _changes(row: Row) -> Changes:
    changes: Changes = {}
    for name in row.model_fields_set.intersection(_CHANGED):
        changes[name] = getattr(row, name)  # type: ignore[literal-required]
    return changes


def _pace(job: Import) -> float:
    return float(job.options.get("pace", 1.0))


def _wish(job: Import, row: Row) -> Enrol:
    return Enrol(job.track, row.contact_id, row.key, row.properties, _pace(job))


def _outcome(it: Readable, result: Enrolled) -> tuple[str, Problem | None]:
    if result.outcome == "created":
        return "enrolled", None
    if result.outcome == "existing":
        return "existing", None
    if result.refusal == "reentry":
        reason = f"the track's re-entry rule is {result.rule}, and the contact has been through it"
        return "refused", Problem(it.line, "refused", reason, "", it.row.contact_id)
    reason = {
        "key_required": f"the track has one run {result.rule}: give key or that property, as an impersonal id",
        "key_refused": f"the track has one run {result.rule}, and {result.why}",
        "key_unexpected": "the track has one run per contact, so it takes no key",
    }.get(str(result.refusal), str(result.refusal).replace("_", " "))
    return "bad", Problem(it.line, "bad", reason, "key", it.row.contact_id)


def _progress(job: Import, *, applied: int = 0, held: str = "") -> ImportProgress:
    return ImportProgress(
        state=job.state,
        applied=applied,
        rows=job.rows,
        outcomes=dict(job.outcomes),
        per_second=job.per_second,
        held=held,
    )
