"""The consents of contacts, and the proof of each.

Every change is stored with its source, its time and the version of the text that the contact was shown. The current
consent follows from all changes in the order of their times, so a grant that arrives late does not undo a newer
withdrawal.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import many, utc_now
from store.published import policies
from store.schema.rows import Channel, columns, read_row
from tracks.policy.workspace_policy import Policy

Status = Literal["granted", "pending", "withdrawn"]
Said = Literal["granted", "pending", "confirmed", "withdrawn"]
"""The status in a change. `confirmed` turns a `pending` consent into a `granted` one."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of the consent to one topic of a channel; topic '' is the whole channel. `at` None means now."""

    channel: Channel
    topic: str
    status: Said
    source: str
    text_version: str = ""
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Consent:
    """The current consent for one topic of a channel, its proof, and when it was confirmed (double opt-in)."""

    channel: Channel
    topic: str
    status: Status
    source: str
    text_version: str
    at: datetime
    confirmed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Proof:
    """A change as it is stored; ids increase in the order of arrival."""

    id: int
    channel: Channel
    topic: str
    status: Said
    source: str
    text_version: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Result:
    """The current consent of a topic after changes, its status before, and the id of its last change.

    `change_id` is None if every change had been stored already.
    """

    now: Consent
    before: Status | None
    change_id: int | None

    @property
    def turned(self) -> bool:
        """Whether the status has changed."""
        return self.now.status != self.before


async def record(
    tx: AsyncConnection, contact_id: str, changes: Iterable[Change], *, now: datetime | None = None
) -> list[Result]:
    """Store changes and update the current consents; returns one result per channel and topic.

    A grant of a topic with double opt-in is stored as `pending`. The same change with the same time is stored once.
    The caller holds the lock on the contact's row (`contacts.hold`).
    """
    moment = now or utc_now()
    policy = (await policies.current(tx)).policy
    said = list(dict.fromkeys(_as_kept(change, policy, moment) for change in changes))
    if not said:
        return []
    arrays = {name: [getattr(change, name) for change in said] for name in _CHANGE_TYPES} | {"id": contact_id}
    last = {(row.channel, row.topic): row.id for row in await tx.execute(_APPEND, arrays)}
    history: dict[tuple[Channel, str], list[Proof]] = defaultdict(list)
    for row in (await tx.execute(_HISTORY_OF, arrays)).mappings():
        proof = read_row(Proof, row)
        history[proof.channel, proof.topic].append(proof)
    before = {(consent.channel, consent.topic): consent for consent in await current(tx, contact_id)}
    after = [follows(history[key]) for key in sorted(history)]
    if fresh := [consent for consent in after if before.get((consent.channel, consent.topic)) != consent]:
        kept = {name: [getattr(consent, name) for consent in fresh] for name in _CONSENT_TYPES}
        await tx.execute(_UPSERT, kept | {"id": contact_id})
    return [
        Result(consent, held.status if held else None, last.get(key))
        for consent in after
        for key in [(consent.channel, consent.topic)]
        for held in [before.get(key)]
    ]


async def refresh(tx: AsyncConnection, contact_id: str) -> None:
    """Compute all current consents of a contact anew from the stored changes, as after changes went elsewhere."""
    stored: dict[tuple[Channel, str], list[Proof]] = defaultdict(list)
    for proof in [read_row(Proof, row) for row in (await tx.execute(_ALL, {"id": contact_id})).mappings()]:
        stored[proof.channel, proof.topic].append(proof)
    after = [follows(stored[key]) for key in sorted(stored)]
    await tx.execute(_CLEAR, {"id": contact_id})
    if after:
        kept = {name: [getattr(consent, name) for consent in after] for name in _CONSENT_TYPES}
        await tx.execute(_UPSERT, kept | {"id": contact_id})


def follows(history: Sequence[Proof]) -> Consent:
    """The consent that follows from all changes of one topic, given in any order; at least one is required.

    The latest change by time counts; of several at the same time, a withdrawal counts. A repeated sign-up does not lose
    a confirmation. A confirmation keeps the proof of the sign-up that it confirms.
    """
    state: Consent | None = None
    for proof in sorted(history, key=lambda p: (p.at, _ORDER.index(p.status), p.id)):
        fresh = Consent(proof.channel, proof.topic, "granted", proof.source, proof.text_version, proof.at, None)
        granted = state is not None and state.status == "granted"
        match proof.status:
            case "withdrawn":
                state = replace(fresh, status="withdrawn")
            case "pending":
                state = state if granted else replace(fresh, status="pending")
            case "granted":
                state = replace(fresh, confirmed_at=state.confirmed_at if state is not None and granted else None)
            case "confirmed" if state is None or state.status == "withdrawn":
                state = replace(fresh, confirmed_at=proof.at)
            case "confirmed":
                state = replace(state, status="granted", confirmed_at=state.confirmed_at or proof.at)
    assert state is not None
    return state


async def current(tx: AsyncConnection, contact_id: str) -> list[Consent]:
    """All current consents of a contact, by channel and topic."""
    rows = await tx.execute(_CURRENT, {"id": contact_id})
    return [read_row(Consent, row) for row in rows.mappings()]


async def history(tx: AsyncConnection, contact_id: str, *, before: int | None = None, limit: int = 50) -> list[Proof]:
    """The stored changes of a contact, the latest arrival first; with `before`, those that arrived before that id."""
    rows = await tx.execute(_HISTORY, {"id": contact_id, "before": before, "limit": limit})
    return [read_row(Proof, row) for row in rows.mappings()]


def _as_kept(change: Change, policy: Policy, now: datetime) -> Change:
    topic = policy.topics.get(change.topic)
    unconfirmed = change.status == "granted" and topic is not None and topic.opt_in == "double"
    return replace(change, status="pending" if unconfirmed else change.status, at=change.at or now)


_ORDER: tuple[Said, ...] = ("pending", "granted", "confirmed", "withdrawn")
_CHANGE_TYPES = {
    "channel": "text",
    "topic": "text",
    "status": "text",
    "source": "text",
    "text_version": "text",
    "at": "timestamptz",
}
_CONSENT_TYPES = {**_CHANGE_TYPES, "confirmed_at": "timestamptz"}
_APPEND = text(f"""
    INSERT INTO consent_change (contact_id, channel, topic, status, source, text_version, at)
    SELECT :id, i.channel, i.topic, i.status, i.source, i.text_version, i.at FROM {many("i", **_CHANGE_TYPES)}
    WHERE NOT EXISTS (
        SELECT 1 FROM consent_change k WHERE k.contact_id = :id AND k.channel = i.channel AND k.topic = i.topic
            AND k.status = i.status AND k.source = i.source AND k.text_version = i.text_version AND k.at = i.at
    )
    ORDER BY i.ord
    RETURNING id, channel, topic
""")
_HISTORY_OF = text(f"""
    SELECT {columns(Proof, "k")} FROM consent_change k
    WHERE k.contact_id = :id AND (k.channel, k.topic) IN (
        SELECT i.channel, i.topic FROM {many("i", channel="text", topic="text")}
    )
""")
_ALL = text(f"SELECT {columns(Proof, 'k')} FROM consent_change k WHERE contact_id = :id")
_CLEAR = text("DELETE FROM consent WHERE contact_id = :id")
_CURRENT = text(f"SELECT {columns(Consent, 'c')} FROM consent c WHERE contact_id = :id ORDER BY channel, topic")
_HISTORY = text(f"""
    SELECT {columns(Proof, "k")} FROM consent_change k
    WHERE contact_id = :id AND (CAST(:before AS bigint) IS NULL OR k.id < :before) ORDER BY k.id DESC LIMIT :limit
""")
_UPSERT = text(f"""
    INSERT INTO consent (contact_id, channel, topic, status, source, text_version, at, confirmed_at)
    SELECT :id, i.channel, i.topic, i.status, i.source, i.text_version, i.at, i.confirmed_at
    FROM {many("i", **_CONSENT_TYPES)}
    ON CONFLICT (contact_id, channel, topic) DO UPDATE SET status = excluded.status, source = excluded.source,
        text_version = excluded.text_version, at = excluded.at, confirmed_at = excluded.confirmed_at
""")
