"""Law 13 for dates: whatever contacts and clocks do, exactly those moments are told that a second reading finds."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from store.engine.ids import new_id
from store.people import contacts
from store.published import date_segments, tracks
from store.published.entry_rules import dates_of
from tests.store.audience.segment_calls import fill, pass_time
from tests.store.store_calls import StoreCalls
from tracks.checks.track_document import parse_track
from tracks.compiler.compiler import compile_track

BEGIN = datetime(2027, 2, 20, 12, 0, tzinfo=UTC)
"""Before a 29 February that does not come, and the days on which clocks change."""
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kolkata", "Pacific/Auckland"]
DAYS = st.sampled_from(
    ["1990-02-28", "2000-02-29", "1985-03-01", "1992-03-14", "1970-03-28", "1970-03-29", "soon", None]
)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(1, 12 * 24)),
        st.tuples(st.just("day"), DAYS),
        st.tuples(st.just("zone"), st.sampled_from(ZONES)),
    ),
    max_size=10,
)


def moment(day: Any, zone: str, offset: int, hour: int, year: int) -> datetime | None:
    """The moment in that year, computed by itself: 29 February is 28 February where there is none."""
    try:
        born = date.fromisoformat(day)
    except (TypeError, ValueError):
        return None
    leap = (born.month, born.day) == (2, 29) and year % 4 != 0
    comes = date(year, born.month, 28 if leap else born.day) + timedelta(days=offset)
    return datetime(comes.year, comes.month, comes.day, hour, tzinfo=ZoneInfo(zone)).astimezone(UTC)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=DAYS, zone=st.sampled_from(ZONES), offset=st.integers(-5, 5), hour=st.integers(4, 23), done=steps)
async def test_each_moment_that_comes_is_told_once_and_no_other(
    store: StoreCalls, first: str | None, zone: str, offset: int, hour: int, done: list[tuple[str, Any]]
) -> None:
    who, attribute = new_id(), f"b{new_id()[-12:]}"
    track = parse_track(
        f"track: t-{attribute}\nsteps: [{{id: w, wait: 1d}}]\nentry: {{date: {{attribute: {attribute}, yearly: true,"
        f" feb_29: feb-28, offset: {offset}d, time: '{hour:02}:00'}}}}\n",
        "track.yaml",
    )
    now, day, expected = BEGIN, first, dict[str, datetime]()

    async def write() -> None:
        async with store.db.transaction() as tx:
            await contacts.upsert(tx, who, {"timezone": zone, "attributes": {attribute: day}}, now=now)

    await write()
    async with store.db.transaction() as tx:
        await tracks.publish(tx, track, compile_track(track), "", now=now)
        await date_segments.keep(tx, dates_of(track), now=now)
    await fill(store, now)
    for what, value in [*done, ("wait", 400 * 24)]:
        if what == "wait":
            later = now + timedelta(hours=value)
            for year in range(2026, 2030):
                comes = moment(day, zone, offset, hour, year)
                if comes is not None and now < comes <= later:
                    expected.setdefault(comes.astimezone(ZoneInfo(zone)).date().isoformat(), comes)
            now = later
            await pass_time(store, now)
        else:
            day, zone = (value, zone) if what == "day" else (day, value)
            await write()
    rows = await store.rows(
        "SELECT occurred_at FROM event WHERE contact_id = :who AND name = 'date.reached' ORDER BY 1", who=who
    )
    assert [row.occurred_at for row in rows] == sorted(expected.values())
    async with store.db.transaction() as tx:
        await tx.exec_driver_sql("DELETE FROM entry_rule")
        await date_segments.keep(tx, [], now=now)
