"""The ledger of messages: claim, send, settle. A message is never sent twice.

A row is `sending` while somebody holds its claim, and then `sent`, `failed`, `skipped` (refused before the
provider was asked), `unknown` (nobody can tell), `released` (certainly not sent: it may be claimed again) or
`deferred` (it has to wait for its turn, and is judged anew then).
Evidence that the provider has the message, its own answer or a callback in whatever order, always wins.
No address is stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import CursorResult, RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store import policies
from store.addresses import address_hash
from store.breakers import Deferred
from store.enrollments import PATH_INSERT, path_arrays
from store.ids import is_id, new_id
from store.judging import FACTS, SPANS, Asked, Judgement, judge
from store.messages import COLUMNS, Message, MessageStatus, Progress
from store.rows import Channel, Contact, Enrollment, Run, columns, read_row
from store.sql import many, utc_now
from tracks.identifiers import effect_key
from tracks.run import PathEntry
from tracks.sending import MessageRules

Rules = Callable[[AsyncConnection, Enrollment], Awaitable[MessageRules]]
"""Reads a message's rules from the track version that the enrollment is pinned to."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What to do about a message.

    `granted`: send it now, to the address in `run.contact`, then settle; granted once, then only after a release.
    `settled`: it is over, `status` (`sent`, `failed`, `skipped`) and `reason` say how. `deferred`: claim it again
    at `until` (real time). `unknown`: an earlier attempt had claimed it, and nobody knows whether it went out.
    `ended`: the enrollment is over, `reason` says why (`ended`, `goal`, `exit`, `erased`).
    """

    decision: Literal["granted", "settled", "deferred", "unknown", "ended"]
    run: Run
    message_id: str = ""
    status: MessageStatus | None = None
    reason: str = ""
    until: datetime | None = None
    newest: int | None = None
    """Of a granted one: the newest version of `MessageRules.template`."""


async def claim(
    tx: AsyncConnection,
    *,
    enrollment_id: str,
    step: str,
    occurrence: int,
    channel: Channel,
    token: str,
    rules: MessageRules | Rules = MessageRules(),
    path: Sequence[PathEntry] = (),
    now: datetime | None = None,
) -> Claim:
    """Claim the right to send the message of this effect, with everything that protects the contact checked.

    `token` is unique to the attempt. Claims of one contact, and of one address, take turns, and a goal that another
    transaction is just storing is waited for. `path` is stored whatever is decided. See `store.judging` for what
    is checked. Raises LookupError where there is no such enrollment.
    """
    now = now or utc_now()
    ask = {"id": enrollment_id, "channel": channel}
    person = (await tx.execute(_LOCK, ask)).mappings().first() if is_id(enrollment_id) else None
    contact = read_row(Contact, person) if person else None
    address = contact.address(channel) if contact else None
    hashed = address_hash(channel, address) if address else ""
    asked: dict[str, Any] = {
        **ask,
        "key": effect_key(enrollment_id, step, occurrence),
        "step": step,
        "hash": hashed,
        "counting": policies.caps_known(tx),
        "now": now,
        **SPANS,
    }
    row = await _read(tx, asked)
    run = Run(read_row(Enrollment, row, "e_"), contact)
    message = read_row(Message, row, "m_") if row["m_id"] is not None else None
    if message is not None and message.status == "sending":
        message = await _abandoned(tx, message)
    written = {**asked, **path_arrays(path), "message": message.id if message else new_id(), "token": token}
    if message is not None and message.status not in ("released", "deferred"):
        await tx.execute(_PROGRESS, written)
        if message.status == "unknown":
            return Claim("unknown", run, message.id, "unknown")
        return Claim("settled", run, message.id, message.status, message.reason)
    over = "erased" if contact is None else run.enrollment.over
    if over and message is None:
        await tx.execute(_PROGRESS, written)
        return Claim("ended", run, reason=over)
    found = rules if isinstance(rules, MessageRules) else await rules(tx, run.enrollment)
    if over:
        judged = Judgement("skip", over)
    else:
        held_since = message.held_since if message else None
        asked_for = Asked(run, step, channel, hashed, found, now, held_since, _deferred(message))
        judged = await judge(tx, asked_for, row)
    newest = (await tx.execute(_WRITE, written | _judged(judged, run, found, now))).scalar_one()
    if over:
        return Claim("ended", run, written["message"], reason=over)
    if judged.outcome == "skip":
        return Claim("settled", run, written["message"], "skipped", judged.reason)
    if judged.outcome == "defer":
        return Claim("deferred", run, written["message"], "deferred", judged.reason, judged.until)
    return Claim("granted", run, written["message"], newest=newest)


def _deferred(message: Message | None) -> Deferred | None:
    if message is None or message.status != "deferred" or message.due_at is None:
        return None
    return Deferred(message.reason, message.claimed_at, message.due_at)


def _judged(judged: Judgement, run: Run, rules: MessageRules, now: datetime) -> dict[str, Any]:
    return {
        "contact": run.enrollment.contact_id,
        "track": run.enrollment.track,
        "pace": run.enrollment.pace,
        "topic": rules.topic,
        "transactional": rules.transactional,
        "priority": rules.priority,
        "status": _STATUS[judged.outcome],
        "reason": judged.reason,
        "settled": now if judged.outcome == "skip" else None,
        "held": judged.held_since,
        "due": judged.until,
        "template": rules.template,
    }


async def settle(
    tx: AsyncConnection,
    message_id: str,
    *,
    token: str,
    outcome: Literal["sent", "failed", "unknown"],
    provider_id: str | None = None,
    reason: str = "",
    now: datetime | None = None,
) -> Message:
    """Say how a claimed message ended; answers with the row as it now is, which evidence may have made `sent`.

    `sent` always counts. `failed` and `unknown` count only from the attempt that holds the claim (`token`).
    `reason` is a class or a provider's code, never its text. Raises LookupError where there is no such message.
    """
    if outcome == "sent":
        return (await settle_sent(tx, [Sent(message_id, provider_id)], now=now))[0]
    return await _settle(tx, message_id, token, outcome, reason, now)


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took a message, and knows it by this id."""

    message_id: str
    provider_id: str | None


async def settle_sent(tx: AsyncConnection, sent: Sequence[Sent], *, now: datetime | None = None) -> list[Message]:
    """`settle` many as `sent`, in one statement that locks them by id; answers the rows as they now are, in order.

    Raises LookupError where one of them does not exist.
    """
    values = {
        "id": [one.message_id for one in sent if is_id(one.message_id)],
        "provider_id": [one.provider_id for one in sent if is_id(one.message_id)],
        "now": now or utc_now(),
    }
    rows = {row["id"]: read_row(Message, row) for row in (await tx.execute(_SENT, values)).mappings()}
    for one in sent:
        if one.message_id not in rows:
            raise LookupError(f"there is no message {one.message_id}")
    return [rows[one.message_id] for one in sent]


async def release(
    tx: AsyncConnection, message_id: str, *, token: str, reason: str = "", now: datetime | None = None
) -> Message:
    """The provider certainly did not take it (429, connection refused): the effect may be claimed again."""
    return await _settle(tx, message_id, token, "released", reason, now)


@dataclass(frozen=True, slots=True)
class Callback:
    """What the provider reports of a message."""

    message_id: str
    progress: Progress
    provider_id: str | None = None
    reason: str = ""


async def record_callbacks(tx: AsyncConnection, reported: Sequence[Callback], *, at: datetime | None = None) -> None:
    """Store what the provider reports of messages: proof that they were sent, before or after their settle.

    Safe in any order and any number of times: the progress furthest along stays, and of two reasons for it the one
    that comes first in the alphabet (`bounce-permanent…` before `bounce-transient…`). Messages that there are not
    are left out. Rows are locked by id.
    """
    rounds: list[dict[str, Callback]] = []  # one statement changes a row once
    for one in reported:
        if is_id(one.message_id):
            place = next((known for known in rounds if one.message_id not in known), None)
            if place is None:
                rounds.append(place := {})
            place[one.message_id] = one
    for callbacks in rounds:
        batch = list(callbacks.values())
        values = {
            "id": [one.message_id for one in batch],
            "progress": [one.progress for one in batch],
            "rank": [_RANK.index(one.progress) for one in batch],
            "provider_id": [one.provider_id for one in batch],
            "reason": [one.reason for one in batch],
            "ranks": list(_RANK),
            "now": at or utc_now(),
        }
        await tx.execute(_CALLBACKS, values)


async def resolve(
    tx: AsyncConnection,
    message_id: str,
    decision: Literal["assume_sent", "resend", "skip"],
    *,
    now: datetime | None = None,
) -> Message:
    """Settle an `unknown` message by policy or by an operator; any other is answered as it stands.

    `assume_sent` makes it `sent` (reason `assumed`), `resend` makes it `released`, `skip` makes it `skipped`.
    Raises LookupError where there is no such message.
    """
    status, reason = {
        "assume_sent": ("sent", "assumed"),
        "resend": ("released", "resend"),
        "skip": ("skipped", "operator"),
    }[decision]
    values = {"id": message_id, "status": status, "reason": reason, "now": now or utc_now()}
    return _found(await tx.execute(_RESOLVE, values) if is_id(message_id) else None, message_id)


async def _read(tx: AsyncConnection, asked: dict[str, Any]) -> RowMapping:
    row = (await tx.execute(_READ, asked)).mappings().first() if is_id(asked["id"]) else None
    if row is None:
        raise LookupError("there is no such enrollment")
    return row


async def _abandoned(tx: AsyncConnection, message: Message) -> Message:
    """An earlier attempt's claim: unknown from now on, unless that attempt has settled it at this moment."""
    return _found(await tx.execute(_ABANDON, {"id": message.id}), message.id)


async def _settle(
    tx: AsyncConnection,
    message_id: str,
    token: str,
    outcome: MessageStatus,
    reason: str,
    now: datetime | None,
) -> Message:
    values = {
        "id": message_id,
        "token": token,
        "outcome": outcome,
        "reason": reason,
        "now": now or utc_now(),
    }
    return _found(await tx.execute(_SETTLE, values) if is_id(message_id) else None, message_id)


def _found(result: CursorResult[Any] | None, message_id: str) -> Message:
    row = result.mappings().first() if result is not None else None
    if row is None:
        raise LookupError(f"there is no message {message_id}")
    return read_row(Message, row)


_STATUS = {"go": "sending", "skip": "skipped", "defer": "deferred"}
_RANK: tuple[Progress, ...] = ("accepted", "delayed", "delivered", "failed", "bounced", "complained")

# Two contacts may share an address. Its lock comes with the contact's, in one statement, so that the next one sees
# what a claim of the other contact has just written; spellings that lower() does not fold may race, no more.
_LOCK = text(f"""
    SELECT {columns(Contact, "c")},
        pg_advisory_xact_lock(
            hashtextextended(CASE WHEN CAST(:channel AS text) = 'email' THEN lower(c.email) ELSE c.phone END, 0)
        )
    FROM contact c WHERE c.id = (SELECT contact_id FROM enrollment WHERE id = :id) FOR NO KEY UPDATE
""")
# FOR NO KEY UPDATE waits for a transaction that is storing this run's goal, and then sees it. Claims of one
# contact hold the contact's row, so what this reads of the effect's message cannot be another claim's past.
_READ = text(f"""
    SELECT {columns(Enrollment, "e", "e_")}, {columns(Message, "m", "m_")}, {FACTS}
    FROM enrollment e
    LEFT JOIN message m ON m.effect_key = :key
    LEFT JOIN suppression s ON s.channel = :channel AND s.address_hash = :hash
    WHERE e.id = :id FOR NO KEY UPDATE OF e
""")
_PROGRESS = text(f"""
    WITH path AS ({PATH_INSERT})
    UPDATE enrollment SET step = :step WHERE id = :id AND ended_at IS NULL AND step IS DISTINCT FROM :step
""")
_WRITE = text(f"""
    WITH path AS ({PATH_INSERT}),
    at AS (UPDATE enrollment SET step = :step WHERE id = :id AND ended_at IS NULL AND step IS DISTINCT FROM :step)
    INSERT INTO message AS m (id, effect_key, enrollment_id, contact_id, track, step, channel, status, token, reason,
        claimed_at, settled_at, topic, transactional, priority, pace, address_hash, held_since, due_at)
    VALUES (:message, :key, :id, :contact, :track, :step, :channel, :status, :token, :reason,
        :now, :settled, :topic, :transactional, :priority, :pace, nullif(:hash, ''), :held, :due)
    ON CONFLICT (effect_key) DO UPDATE SET status = excluded.status, channel = excluded.channel,
        token = excluded.token, reason = excluded.reason, attempts = m.attempts + 1,
        claimed_at = excluded.claimed_at, settled_at = excluded.settled_at, topic = excluded.topic,
        transactional = excluded.transactional, priority = excluded.priority, address_hash = excluded.address_hash,
        held_since = CASE WHEN excluded.status = 'deferred' THEN excluded.held_since ELSE m.held_since END,
        due_at = excluded.due_at
    RETURNING (SELECT latest FROM template WHERE name = :template)
""")
_ABANDON = text(f"""
    UPDATE message m SET status = CASE WHEN status = 'sending' THEN 'unknown' ELSE status END
    WHERE id = :id RETURNING {COLUMNS}
""")
_MINE = "m.token = :token AND m.status IN ('sending', 'unknown')"
_SETTLE = text(f"""
    UPDATE message m SET
        status = CASE WHEN {_MINE} THEN :outcome ELSE m.status END,
        reason = CASE WHEN {_MINE} THEN :reason ELSE m.reason END,
        settled_at = CASE WHEN {_MINE} THEN coalesce(m.settled_at, :now) ELSE m.settled_at END
    WHERE id = :id RETURNING {COLUMNS}
""")
_SENT = text(f"""
    UPDATE message m SET status = 'sent', reason = '', provider_id = coalesce(m.provider_id, n.provider_id),
        settled_at = coalesce(m.settled_at, :now)
    FROM (
        SELECT i.* FROM {many("i", id="uuid", provider_id="text")}
        JOIN message l ON l.id = i.id ORDER BY l.id FOR NO KEY UPDATE OF l
    ) n
    WHERE m.id = n.id RETURNING {COLUMNS}
""")
_REPORTED = many("i", id="uuid", progress="text", rank="integer", provider_id="text", reason="text")
_CALLBACKS = text(f"""
    UPDATE message m SET status = 'sent', reason = '',
        settled_at = coalesce(m.settled_at, :now),
        provider_id = coalesce(m.provider_id, n.provider_id),
        delivery = CASE WHEN n.newer THEN n.progress ELSE m.delivery END,
        delivery_reason = CASE WHEN n.newer THEN n.reason ELSE m.delivery_reason END,
        delivery_at = CASE WHEN n.newer THEN :now ELSE m.delivery_at END
    FROM (
        SELECT i.*, coalesce(array_position(CAST(:ranks AS text[]), l.delivery) - 1 < i.rank
            OR (l.delivery = i.progress AND i.reason < l.delivery_reason COLLATE "C"), true) AS newer
        FROM {_REPORTED} JOIN message l ON l.id = i.id ORDER BY l.id FOR NO KEY UPDATE OF l
    ) n
    WHERE m.id = n.id
""")
_RESOLVE = text(f"""
    UPDATE message m SET
        status = CASE WHEN m.status = 'unknown' THEN :status ELSE m.status END,
        reason = CASE WHEN m.status = 'unknown' THEN :reason ELSE m.reason END,
        settled_at = CASE WHEN m.status = 'unknown' THEN :now ELSE m.settled_at END
    WHERE id = :id RETURNING {COLUMNS}
""")
