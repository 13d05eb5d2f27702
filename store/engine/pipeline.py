"""Send textual SQL over one connection in batches: commands that do not depend on each other's results go together.

A command that is sent alone costs a round trip, and BEGIN and COMMIT cost as much as a statement. In libpq's pipeline
mode several commands are sent at once and answered in order; after the first failure PostgreSQL skips the rest.

psycopg's own pipeline mode costs more than it saves here: BEGIN, three statements and COMMIT take 0.51 ms of CPU with
it, 0.45 ms one after another, and 0.21 ms in this way. Its `generators` are not documented, hence the upper bound on
psycopg's version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from itertools import count
from typing import Any, NamedTuple

import psycopg
from psycopg import generators
from psycopg.abc import PQGen
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from store.engine.array_literals import array_literal

_NUMBERED: Any = PGDialect_psycopg(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
_KEPT = 500
"""Statements that a connection keeps prepared. Our own statements are constants and fewer; tests may have more."""


class Statement(NamedTuple):
    """A statement and its named values."""

    sql: TextClause
    values: Mapping[str, Any]


class Answer(NamedTuple):
    """The names of the columns (none if the statement returns no rows), the rows, and the number of affected rows."""

    names: tuple[str, ...]
    rows: Sequence[Any]
    rowcount: int


class RefusedError(Exception):
    """PostgreSQL refused a statement, or the COMMIT (then `asked` is None)."""

    def __init__(self, asked: Statement | None, error: psycopg.Error) -> None:
        super().__init__(str(error))
        self.asked = asked
        self.error = error


class Pipeline:
    """A pipeline over one psycopg connection. psycopg's cursors may be used beside it, in the same transaction.

    Those cursors must not prepare statements (`prepare_threshold=None`): at a rollback psycopg drops everything that
    the connection has prepared.
    """

    def __init__(self, driver: psycopg.AsyncConnection[Any]) -> None:
        self._driver = driver
        self._pg = driver.pgconn
        self._prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._numbers = count()  # a name is never used twice, because it may exist although preparing it was cancelled

    @property
    def closed(self) -> bool:
        """Whether the connection is lost."""
        return self._driver.closed

    def in_transaction(self) -> bool:
        """Whether a transaction is open, including one that has failed."""
        return self._pg.transaction_status != TransactionStatus.IDLE

    async def fly(self, asked: Sequence[Statement] = (), *, begin: bool = False, commit: bool = False) -> list[Answer]:
        """Send the statements in one batch; returns an answer for each.

        `begin`: BEGIN before them unless a transaction is open. `commit`: COMMIT after them if one is open. Raises
        RefusedError for the first statement that fails, psycopg's own error if the connection fails.
        """
        driver = self._driver
        async with driver.lock:
            begin = begin and not self.in_transaction()
            commands = list(self._commands(asked, begin=begin, commit=commit and (begin or self.in_transaction())))
            results = await driver.wait(_flight(self._pg, commands)) if commands else []
        answers = []
        for command, result in zip(commands, results, strict=True):
            query = command.query
            if result.status == ExecStatus.FATAL_ERROR:
                error = error_from_result(result, encoding=driver.info.encoding)
                raise RefusedError(query.asked if query else None, error)
            if query is not None and command.prepares is not None:
                self._prepared[query.key] = command.prepares
            elif query is not None:
                answers.append(query.answer(result))
        return answers

    async def rollback(self) -> None:
        """Roll back what is not committed."""
        await self._driver.rollback()

    def _commands(self, asked: Sequence[Statement], *, begin: bool, commit: bool) -> Iterator[_Command]:
        pg = self._pg
        if begin:
            yield _Command(partial(pg.send_query_params, b"BEGIN", None))
        for one in asked:
            query = _Query(one, self._driver)
            name = self._prepared.get(query.key)
            if name is None and len(self._prepared) < _KEPT:
                name = b"perennial_%d" % next(self._numbers)
                yield _Command(partial(pg.send_prepare, name, query.sql, query.types), query, name)
            if name is None:
                send = partial(pg.send_query_params, query.sql, query.values, query.types, query.formats)
            else:
                send = partial(pg.send_query_prepared, name, query.values, query.formats)
            yield _Command(send, query)
        if commit:
            yield _Command(partial(pg.send_query_params, b"COMMIT", None))


class _Query:
    """A statement in its wire form: the encoded values, and the decoder for its rows."""

    def __init__(self, asked: Statement, driver: psycopg.AsyncConnection[Any]) -> None:
        self.asked = asked
        self.sql, names = _compiled(asked.sql.text)
        self._transformer = adapt = Transformer(driver)
        values = [_plain(asked.values[name]) for name in names]
        self.values = adapt.dump_sequence(values, [PyFormat.AUTO] * len(values))
        self.types, self.formats = adapt.types or (), adapt.formats

    @property
    def key(self) -> tuple[bytes, tuple[int, ...]]:
        return self.sql, self.types

    def answer(self, result: PGresult) -> Answer:
        if result.status != ExecStatus.TUPLES_OK:
            return Answer((), (), result.command_tuples or 0)
        names = tuple((result.fname(number) or b"").decode() for number in range(result.nfields))
        self._transformer.set_pgresult(result)
        return Answer(names, self._transformer.load_rows(0, result.ntuples, tuple), result.ntuples)


def _plain(value: Any) -> Any:
    """The value; a list as an array literal, where that is possible."""
    if type(value) is not list:
        return value
    literal = array_literal(value)
    return value if literal is None else literal


class _Command(NamedTuple):
    """What to send, and for which statement. `prepares`: the name, if the command only prepares the statement."""

    send: Callable[[], None]
    query: _Query | None = None
    prepares: bytes | None = None


def _flight(pg: Any, commands: Sequence[_Command]) -> PQGen[list[PGresult]]:
    """Send all commands; returns a result for each. After a cancellation, psycopg still runs this to its end."""
    try:
        pg.enter_pipeline_mode()
        for command in commands:
            command.send()
        pg.pipeline_sync()
        yield from generators.send(pg)
        results = []
        for _ in commands:
            results += yield from generators.fetch_many(pg)
        yield from generators.fetch_many(pg)  # the result of the synchronisation
        pg.exit_pipeline_mode()
    except BaseException:
        pg.finish()  # results that are still coming would be taken for later answers
        raise
    return results


@lru_cache(maxsize=2000)
def _compiled(sql: str) -> tuple[bytes, tuple[str, ...]]:
    """The statement with PostgreSQL's own placeholders, and the names of the values in order."""
    compiled = TextClause(sql).compile(dialect=_NUMBERED)
    return str(compiled).encode(), tuple(compiled.positiontup or ())
