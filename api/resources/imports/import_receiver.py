"""Receive the body of an import: its rows are stored while it arrives, a few hundred at a time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from api.http.problems import FieldProblem, ProblemError, invalid
from api.resources.imports.import_conflict import import_conflict
from api.resources.imports.upload_lines import Format, Splitter
from store.engine.database import Database
from store.runs.imports import import_rows, imports
from store.runs.imports.import_rows import Problem, Raw
from store.runs.imports.imports import Import
from tracks.contacts.import_row import read_header

CHUNK = 250
"""Rows applied in one transaction. It takes about 50 ms, during which other changes to these contacts wait."""
CHUNK_BYTES = 1 << 18
_AT_ONCE = 4
"""Chunks stored in one transaction."""


class Receiver:
    """Takes pieces of a body and stores their rows. The import is created with its first rows, so a refused header
    leaves nothing behind."""

    def __init__(self, db: Database, kind: Format, delimiter: str, id_column: str, wanted: Mapping[str, Any]) -> None:
        """`wanted` are the arguments of `imports.begin`, including `options`."""
        self._db, self._kind, self._id_column = db, kind, id_column
        self._wanted = dict(wanted)
        self._splitter = Splitter(kind, delimiter)
        self._chunks: list[list[Raw]] = [[]]
        self._bytes = 0
        self._number = 0
        self._named = kind == "jsonl"
        self.job: Import | None = None

    async def take(self, pieces: AsyncIterator[bytes]) -> Import:
        """Receive the whole body. Returns the import, which then runs.

        Raises:
            ProblemError: 422 if the header is wrong or there are no rows, 409 if the import was given up meanwhile.
        """
        first = True
        async for piece in pieces:
            if first and piece.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise ProblemError(400, "malformed-body", "The body is UTF-16; save it as UTF-8.")
            first = False
            await self._splitter.take(piece)
            await self._gather()
        await self._splitter.finish()
        await self._gather()
        if self.job is None and not self._chunks[0] and not self._splitter.problems:
            raise invalid([FieldProblem(detail="There is no row in it.")])
        job = await self._keep()
        async with self._db.transaction() as tx:
            started = await imports.start(tx, job.id)
        return started or _given_up()

    async def _gather(self) -> None:
        rows, self._splitter.rows = self._splitter.rows, []
        if not self._named:
            if self._splitter.problems and not (rows and rows[0][0] < self._splitter.problems[0].line):
                problem = self._splitter.problems[0]
                raise invalid([FieldProblem(detail=f"The header {problem.reason}.", line=problem.line)])
            if not rows:
                return
            self._read_header(rows.pop(0))
        for row in rows:
            size = len(row[1]) if isinstance(row[1], str) else sum(map(len, row[1]))
            if len(self._chunks[-1]) >= CHUNK or (self._bytes + size > CHUNK_BYTES and self._chunks[-1]):
                self._chunks.append([])
                self._bytes = 0
            self._chunks[-1].append(row)
            self._bytes += size
            if len(self._chunks) > _AT_ONCE:
                await self._keep(whole=True)
        if len(self._splitter.problems) >= CHUNK:
            await self._keep(whole=True)

    def _read_header(self, row: Raw) -> None:
        columns, problems = read_header(row[1], self._id_column)
        if problems:
            raise invalid([FieldProblem(detail=problem, line=row[0]) for problem in problems])
        self._wanted["options"] = {**self._wanted["options"], "columns": columns}
        self._named = True

    async def _keep(self, *, whole: bool = False) -> Import:
        """Store the gathered rows. With `whole`, store only full chunks, because more rows may come."""
        chunks: Sequence[list[Raw]] = self._chunks[:-1] if whole else [chunk for chunk in self._chunks if chunk]
        problems: list[Problem]
        problems, self._splitter.problems = self._splitter.problems, []
        async with self._db.transaction() as tx:
            job = self.job or await imports.begin(tx, **self._wanted)
            if not await import_rows.receive(tx, job.id, self._number, chunks, problems):
                _given_up()
        self.job = job
        self._number += len(chunks)
        self._chunks = self._chunks[-1:] if whole else [[]]
        return job

    async def give_up(self) -> None:
        """Delete the import: its body broke off or was refused."""
        if self.job is not None:
            async with self._db.transaction() as tx:
                await imports.fail(tx, self.job.id, imports.BROKEN_OFF)


def _given_up() -> Any:
    raise import_conflict("This upload was given up: it was silent for long, or sent again under its key.")
