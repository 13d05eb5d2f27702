"""A list that is written as a literal is read by PostgreSQL as the same list."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.engine.array_literals import array_literal
from store.engine.database import Database
from store.engine.errors import UnstorableError

storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
zones = st.sampled_from([UTC, timezone(timedelta(hours=-9, minutes=-30)), timezone(timedelta(hours=14))])
moments = st.integers(-(2**31), 2**33).flatmap(
    lambda second: zones.map(lambda zone: datetime.fromtimestamp(second, UTC).astimezone(zone))
)
moments = st.integers(-(2**31), 2**33).flatmap(
    lambda second: zones.map(lambda zone: datetime.fromtimestamp(second, UTC).astimezone(zone))
)
lists = st.one_of(
    st.tuples(st.just("text"), st.lists(storable | st.sampled_from(["", "NULL", '"', "\\", "{", ",", " a "]))),
    st.tuples(st.just("timestamptz"), st.lists(moments)),
    st.tuples(st.just("int8"), st.lists(st.integers(-(2**63), 2**63 - 1))),
    st.tuples(st.just("bool"), st.lists(st.booleans())),
    st.tuples(st.just("float8"), st.lists(st.floats(allow_nan=False))),
    st.tuples(st.just("text"), st.lists(st.none() | storable)),
)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(lists)
async def test_postgresql_reads_the_list_that_was_written(db: Database, case: tuple[str, list[Any]]) -> None:
    kind, values = case
    async with db.transaction() as tx:
        read = (await tx.execute(text(f"SELECT CAST(:values AS {kind}[])"), {"values": values})).scalar_one()
    assert read == values


@pytest.mark.parametrize("values", [[None], ["a", None], [1, "a"], [True, 1], [1.5], [{"a": 1}], ["a\0b"]])
def test_other_lists_are_left_to_the_driver(values: list[Any]) -> None:
    assert array_literal(values) is None


async def test_a_character_that_postgresql_cannot_hold_is_refused_as_before(db: Database) -> None:
    for bad in ("a\0b", "\ud800"):
        with pytest.raises(UnstorableError):
            async with db.transaction() as tx:
                await tx.execute(text("SELECT CAST(:values AS text[])"), {"values": ["fine", bad]})
