"""Settle a claimed message: by the attempt that sent it, by the provider's reports, or by a decision.

Evidence that the provider has the message (its own answer, or a callback, in any order) always takes precedence. If an
attempt releases its message after the run has ended, nothing will claim it again, so it becomes `skipped`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.ids import is_id
from store.engine.sql import many, utc_now
from store.runs.enrollments.enrollments import WHY_OVER
from store.schema.rows import read_row
from store.sending.feedback.bounces import is_soft
from store.sending.messages.messages import COLUMNS, Message, Progress


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
    """Record how a claimed message ended; returns the row as it is then, which evidence may have made `sent`.

    `sent` always counts. `failed` and `unknown` count only from the attempt that holds the claim (`token`). `reason` is
    a class or a provider's code, never its text. Raises LookupError if there is no such message.
    """
    if outcome == "sent":
        return (await settle_sent(tx, [Sent(message_id, provider_id)], now=now))[0]
    values = {"id": message_id, "token": token, "outcome": outcome, "reason": reason, "now": now or utc_now()}
    return await _changed(tx, _SETTLE, values)


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that the provider accepted, and the provider's id for it."""

    message_id: str
    provider_id: str | None


async def settle_sent(tx: AsyncConnection, sent: Sequence[Sent], *, now: datetime | None = None) -> list[Message]:
    """`settle` many messages as `sent`, in one statement that locks them by id; returns the new rows, in order.

    Raises LookupError if one of them does not exist.
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
    """Release a message that the provider certainly did not accept (429, connection refused): it may be claimed again.

    If the run has ended in the meantime, it becomes `skipped` with the reason (`goal`, `exit`, `ended`). Counts only
    from the attempt that holds the claim. Raises LookupError if there is no such message.
    """
    return await _changed(tx, _RELEASE, {"id": message_id, "token": token, "reason": reason, "now": now or utc_now()})


@dataclass(frozen=True, slots=True)
class Callback:
    """A provider's report about a message."""

    message_id: str
    progress: Progress
    provider_id: str | None = None
    reason: str = ""


async def record_callbacks(tx: AsyncConnection, reported: Sequence[Callback], *, at: datetime | None = None) -> None:
    """Store the provider's reports about messages: each proves that its message was sent, before or after its settle.

    Safe in any order and any number of times: the furthest progress stays; of two reasons for the same progress, the
    first in alphabetical order stays. A bounce that is not permanent ranks below a delivery, because an automatic reply
    to a delivered message looks like such a bounce. Unknown messages are ignored. Rows are locked in the order of ids.
    """
    rounds: list[dict[str, Callback]] = []  # one statement can change a row only once
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
            "rank": [_RANK.index(_stage(one)) for one in batch],
            "provider_id": [one.provider_id for one in batch],
            "reason": [one.reason for one in batch],
            "ranks": list(_RANK),
            "now": at or utc_now(),
        }
        later(tx, _CALLBACKS, values)


async def resolve(
    tx: AsyncConnection,
    message_id: str,
    decision: Literal["assume_sent", "resend", "skip"],
    *,
    now: datetime | None = None,
) -> Message:
    """Settle an `unknown` message by policy or by an operator; any other message is returned unchanged.

    `assume_sent` makes it `sent` (reason `assumed`), `skip` makes it `skipped`, `resend` makes it `released`, or
    `skipped` if its run has ended. Raises LookupError if there is no such message.
    """
    if decision == "resend":
        return await _changed(tx, _RESEND, {"id": message_id, "reason": "resend", "now": now or utc_now()})
    status, reason = _DECIDED[decision]
    values = {"id": message_id, "status": status, "reason": reason, "now": now or utc_now()}
    return await _changed(tx, _RESOLVE, values)


async def _changed(tx: AsyncConnection, statement: TextClause, values: dict[str, Any]) -> Message:
    row = (await tx.execute(statement, values)).mappings().first() if is_id(values["id"]) else None
    if row is None:
        raise LookupError(f"there is no message {values['id']}")
    return read_row(Message, row)


_DECIDED = {"assume_sent": ("sent", "assumed"), "skip": ("skipped", "operator")}
_CAME_BACK = "came back"
"""The stage of a bounce that is not permanent."""
_RANK = ("accepted", "delayed", _CAME_BACK, "delivered", "failed", "bounced", "complained")


def _stage(reported: Callback) -> str:
    soft = reported.progress == "bounced" and is_soft(reported.reason)
    return _CAME_BACK if soft else reported.progress


_MINE = "m.token = :token AND m.status IN ('sending', 'unknown')"
_SETTLE = text(f"""
    UPDATE message m SET
        status = CASE WHEN {_MINE} THEN :outcome ELSE m.status END,
        reason = CASE WHEN {_MINE} THEN :reason ELSE m.reason END,
        settled_at = CASE WHEN {_MINE} THEN coalesce(m.settled_at, :now) ELSE m.settled_at END
    WHERE id = :id RETURNING {COLUMNS}
""")


def _giving_back(where: str) -> TextClause:
    """SQL that releases a message if `where` holds. FOR SHARE waits for a transaction that closes the run, and makes
    the next one wait."""
    return text(f"""
        WITH run AS (
            SELECT CASE WHEN e.ended_at IS NOT NULL THEN {WHY_OVER} END AS why
            FROM enrollment e WHERE e.id = (SELECT enrollment_id FROM message WHERE id = :id) FOR SHARE
        )
        UPDATE message m SET
            status = CASE WHEN NOT ({where}) THEN m.status WHEN run.why IS NULL THEN 'released' ELSE 'skipped' END,
            reason = CASE WHEN {where} THEN coalesce(run.why, :reason) ELSE m.reason END,
            settled_at = CASE WHEN {where} THEN coalesce(m.settled_at, :now) ELSE m.settled_at END
        FROM run WHERE m.id = :id RETURNING {COLUMNS}
    """)


_RELEASE = _giving_back(_MINE)
_RESEND = _giving_back("m.status = 'unknown'")
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
        SELECT i.*, coalesce(s.rank < i.rank OR (s.rank = i.rank AND i.reason < l.delivery_reason COLLATE "C"), true)
            AS newer
        FROM {_REPORTED} JOIN message l ON l.id = i.id
        CROSS JOIN LATERAL (
            SELECT array_position(CAST(:ranks AS text[]), CASE
                WHEN l.delivery = 'bounced' AND l.delivery_reason ~ '^bounce-(transient|undetermined)'
                THEN '{_CAME_BACK}' ELSE l.delivery END) - 1 AS rank
        ) s
        ORDER BY l.id FOR NO KEY UPDATE OF l
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
