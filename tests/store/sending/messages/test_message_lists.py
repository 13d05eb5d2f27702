"""Lists of messages for any filter: the ledger's messages, newest first, each once, read by an index."""

from __future__ import annotations

from dataclasses import fields
from datetime import timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.sending.messages import message_lists
from store.sending.messages.message_lists import Listed, Wanted
from tests.store.store_calls import NOW, StoreCalls

TRACKS, STEPS, CONTACTS, TEMPLATES = ("welcome", "other"), ("hello", "again", "last"), ("ann", "bob", "eve"), ("t", "u")
STATUSES = ("sent", "sent", "sent", "failed", "skipped", "unknown", "deferred")
DELIVERIES = (None, "accepted", "delivered", "delivered", "bounced", "complained", "failed")
FILL = """
    INSERT INTO message (id, effect_key, enrollment_id, contact_id, track, step, channel, status, delivery, token,
        claimed_at)
    SELECT CAST(lpad(to_hex((1772442000000 + n)::bigint), 12, '0') || '70008000' || lpad(to_hex(n), 12, '0') AS uuid),
        'k' || n, :run, (CAST(:contacts AS text[]))[1 + n * 7 % 3], (CAST(:tracks AS text[]))[1 + n % 2],
        (CAST(:steps AS text[]))[1 + n * n % 3], CASE WHEN n % 5 = 0 THEN 'sms' ELSE 'email' END,
        (CAST(:statuses AS text[]))[1 + n * 3 % 7], (CAST(:deliveries AS text[]))[1 + n * 5 % 7], 't', :now
    FROM generate_series(1, :many) n RETURNING 1
"""
"""One millisecond apart, the first one after NOW."""
WRITE = """
    INSERT INTO message_content (message_id, template, template_version, track)
    SELECT id, CASE WHEN n % 3 = 0 THEN 't' ELSE 'u' END, 1 + n % 2, track
    FROM (SELECT id, track, row_number() OVER (ORDER BY id) AS n FROM message) m WHERE n % 4 > 0 RETURNING 1
"""


async def filled(store: StoreCalls, many: int) -> None:
    """Make the templates `t` and `u` with two versions each, and `many` messages."""
    run = (await store.live()).id
    for name in TEMPLATES:
        await store.rows("INSERT INTO template VALUES (:name, 2) RETURNING 1", name=name)
        await store.rows(
            "INSERT INTO template_version (template, version, kind, source, digest) "
            "SELECT :name, n, 'email', '', '' FROM generate_series(1, 2) n RETURNING 1",
            name=name,
        )
    lists: dict[str, Any] = {"contacts": CONTACTS, "tracks": TRACKS, "steps": STEPS, "statuses": STATUSES}
    arrays = {name: list(values) for name, values in (lists | {"deliveries": DELIVERIES}).items()}
    await store.rows(FILL, run=run, many=many, now=NOW, **arrays)
    await store.rows(WRITE)


async def walked(store: StoreCalls, wanted: Wanted, limit: int) -> list[Listed]:
    """All pages of `limit` messages, one after the other."""
    found: list[Listed] = []
    while True:
        async with store.db.transaction() as tx:
            before = found[-1].message.id if found else None
            more = await message_lists.page(tx, wanted, before=before, limit=limit)
        found += more
        if len(more) < limit:
            return found


def holds(listed: Listed, wanted: Wanted) -> bool:
    """Whether the message matches `wanted`, implemented again from the description of `Wanted`."""
    number = int(listed.message.id[-12:], 16)
    when = NOW + timedelta(milliseconds=number)
    made_of = {
        "template": listed.content.template if listed.content else None,
        "template_version": listed.content.template_version if listed.content else None,
    }
    spans = (wanted.since or when) <= when < (wanted.until or when + timedelta(1))
    return spans and all(
        getattr(wanted, field.name) in (None, made_of.get(field.name, getattr(listed.message, field.name, None)))
        for field in fields(Wanted)
        if field.name not in ("since", "until")
    )


def maybe(*values: Any) -> st.SearchStrategy[Any]:
    return st.none() | st.sampled_from(values)


async def test_a_template_a_rare_status_and_a_report_in_no_index_are_all_asked_for(store: StoreCalls) -> None:
    await filled(store, 200)
    everything = await walked(store, Wanted(), 200)
    for template in TEMPLATES:
        for status in STATUSES:
            for delivery in filter(None, DELIVERIES):
                wanted = Wanted(template=template, status=status, delivery=delivery)  # type: ignore[arg-type]
                found = await walked(store, wanted, 50)
                assert {one.message.id for one in found} == {one.message.id for one in everything if holds(one, wanted)}


moments = st.integers(0, 210).map(lambda number: NOW + timedelta(milliseconds=number))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
async def test_a_list_is_every_message_that_was_asked_for_newest_first(store: StoreCalls, data: st.DataObject) -> None:
    if not await store.rows("SELECT 1 FROM message LIMIT 1"):
        await filled(store, 200)
    everything = await walked(store, Wanted(contact_id=None), 200)
    assert len(everything) == 200
    template = data.draw(maybe(*TEMPLATES))
    wanted = Wanted(
        contact_id=data.draw(maybe(*CONTACTS)),
        track=data.draw(maybe(*TRACKS, "nothing")),
        step=data.draw(maybe(*STEPS)),
        channel=data.draw(maybe("email", "sms")),
        status=data.draw(maybe(*STATUSES)),
        delivery=data.draw(maybe(*filter(None, DELIVERIES))),
        template=template,
        template_version=data.draw(maybe(1, 2)) if template else None,
        since=data.draw(st.none() | moments),
        until=data.draw(st.none() | moments),
    )
    found = await walked(store, wanted, data.draw(st.integers(1, 60)))
    expected = sorted((one for one in everything if holds(one, wanted)), key=lambda one: one.message.id, reverse=True)
    assert [one.message.id for one in found] == [one.message.id for one in expected]
    assert found == expected


ASKED = {
    "all": Wanted(),
    "a contact": Wanted(contact_id="rare"),
    "a track": Wanted(track="rare"),
    "a step": Wanted(step="rare"),
    "a status": Wanted(status="unknown"),
    "a delivery": Wanted(delivery="complained"),
    "a template": Wanted(template="t", template_version=2),
    "a template and a status": Wanted(template="u", status="unknown"),
    "a template that was skipped": Wanted(template="u", status="skipped"),
    "a template and a track that never used it": Wanted(template="u", track="rare"),
    "a template and a delivery": Wanted(template="u", delivery="complained"),
    "a span": Wanted(since=NOW + timedelta(seconds=5), until=NOW + timedelta(seconds=6)),
    "a track and a status": Wanted(track="welcome", status="failed"),
}
READ = (
    "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint FROM pg_stat_user_tables WHERE relname LIKE 'mes%'"
)


async def test_a_page_reads_little_of_a_large_ledger(store: StoreCalls) -> None:
    await filled(store, 20_000)
    await store.rows(
        "UPDATE message SET status = CASE WHEN track = 'other' THEN 'skipped' ELSE 'sent' END, "
        "delivery = 'delivered', settled_at = claimed_at RETURNING 1"
    )
    await store.rows(
        "DELETE FROM message_content WHERE message_id IN (SELECT id FROM message WHERE status = 'skipped') RETURNING 1"
    )
    await store.rows(
        "UPDATE message SET contact_id = 'rare', track = 'rare', step = 'rare', status = 'unknown', "
        "delivery = 'complained' WHERE effect_key IN ('k77', 'k9999') RETURNING 1"
    )
    await store.rows("DELETE FROM message_content WHERE template = 't' AND template_version = 2 RETURNING 1")
    async with store.db.transaction() as tx:  # PostgreSQL does this itself, except on the tests' server
        await tx.execute(text("ANALYZE message, message_content, template_version"))
    read = {name: await rows_read(store, wanted) for name, wanted in ASKED.items()}
    assert {name: count for name, count in read.items() if count > 3_000} == {}
    assert sum(read.values()) > 400, "the counters count"


async def rows_read(store: StoreCalls, wanted: Wanted) -> int:
    """How many rows of the ledger's tables a first page reads."""
    counts = []
    for asks in (False, True):
        if asks:
            async with store.db.transaction() as tx:
                await message_lists.page(tx, wanted, limit=50)
        await store.rows("SELECT pg_stat_force_next_flush()")
        counts.append((await store.rows(READ))[0][0])
    return int(counts[1] - counts[0])
