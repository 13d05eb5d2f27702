"""Whether a track or a whole channel does harm: the share of its messages with bounces or complaints.

It is computed from the ledger alone, over messages claimed within the policy's window and since the breaker was last
resumed. So no code has to report a bounce: the next `check` sees everything in the ledger. Messages of paced runs are
test runs; they count neither as harm nor as messages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.sql import any_of
from store.schema.rows import Channel
from store.sending.feedback.bounces import WITHHELD
from store.sending.policy import breakers
from store.sending.policy.breakers import Cause
from tracks.policy.workspace_policy import Breaker as Limits

SMS_BOUNCES = ("30004", "30005", "30006", "30007", "30450")
"""Twilio's delivery errors that count as bounces: blocked, no such number, landline, filtered as unwanted. A phone that
is off (30003) does not count, and neither do errors that only the network or the sender's registration causes."""


@dataclass(frozen=True, slots=True)
class Reputation:
    """Messages of one scope and channel, and how many did harm; `messages` is counted only as far as it matters."""

    scope: str
    channel: Channel
    messages: int
    bounces: int
    complaints: int

    def cause(self, limits: Limits) -> Cause | None:
        """The cause that opens the breaker, if any."""
        if self.messages < limits.least:
            return None
        kinds: tuple[tuple[Cause, int, float], ...] = (
            ("complaints", self.complaints, limits.complaints),
            ("bounces", self.bounces, limits.bounces),
        )
        for cause, bad, share in kinds:
            if bad >= limits.least_bad and bad >= share * self.messages:
                return cause
        return None

    def figures(self, limits: Limits) -> Mapping[str, int | str]:
        """The numbers that are shown with the open breaker."""
        return {
            "channel": self.channel,
            "messages": self.messages,
            "bounces": self.bounces,
            "complaints": self.complaints,
            "window_seconds": int(limits.window.total_seconds()),
        }


async def check(tx: AsyncConnection, limits: Limits, now: datetime) -> list[tuple[Reputation, Cause]]:
    """Open the breaker of every scope that does harm; returns those that this call opened."""
    opened = []
    for harm in await suspects(tx, limits, now):
        cause = harm.cause(limits)
        if cause is None:
            continue
        bad = harm.complaints if cause == "complaints" else harm.bounces
        reason = f"{bad} {cause} of {harm.messages} {harm.channel} messages"
        if await breakers.trip(tx, harm.scope, cause, reason, figures=harm.figures(limits), now=now):
            opened.append((harm, cause))
    return opened


async def suspects(tx: AsyncConnection, limits: Limits, now: datetime) -> Sequence[Reputation]:
    """Scopes with so many bad messages that they open a breaker unless they have many others; ordered by scope."""
    asked = {"now": now, "window": limits.window, "sms": list(SMS_BOUNCES), "least": limits.least_bad}
    found = []
    for row in (await tx.execute(_BAD, asked)).all():
        enough = 1 + int(max(row.bounces / limits.bounces, row.complaints / limits.complaints))
        counted = {"channel": row.channel, "since": row.since, "enough": max(enough, limits.least)}
        statement = _OF_CHANNEL
        if row.track is not None:
            statement = _OF_TRACK
            counted["track"] = row.track
        messages = (await tx.execute(statement, counted)).scalar_one()
        found.append(Reputation(row.scope, row.channel, messages, row.bounces, row.complaints))
    return found


SMALLEST_REST = timedelta(seconds=3)
"""The least time between two checks, so that many bounces at once cause only a few checks."""
SHARE_OF_TIME = 20
"""The pause after a check is at least this many times as long as the check took."""


def rest_after(took: timedelta) -> timedelta:
    """The pause after a check."""
    return max(SMALLEST_REST, took * SHARE_OF_TIME)


# Bounces from the account's own suppression list were never sent, and Amazon does not count them either.
_BAD = text(f"""
    WITH bad AS (
        SELECT channel, track, claimed_at, delivery = 'complained' AS complaint FROM message
        WHERE claimed_at > :now - CAST(:window AS interval) AND pace = 1 AND channel IN ('email', 'sms')
            AND bad AND CASE delivery
                WHEN 'complained' THEN true
                WHEN 'bounced' THEN delivery_reason LIKE 'bounce-permanent%'
                    AND delivery_reason NOT LIKE '%{WITHHELD}'
                ELSE channel = 'sms' AND substring(delivery_reason FROM '[0-9]+$') = {any_of("sms")}
            END
    ), scoped AS (
        SELECT 'track:' || track AS scope, bad.* FROM bad
        UNION ALL SELECT 'account:' || channel, channel, NULL, claimed_at, complaint FROM bad
    )
    SELECT s.scope, s.track, s.channel, greatest(:now - CAST(:window AS interval), b.resumed_at) AS since,
        count(*) FILTER (WHERE complaint) AS complaints, count(*) FILTER (WHERE NOT complaint) AS bounces
    FROM scoped s LEFT JOIN breaker b USING (scope)
    WHERE (coalesce(b.state, '') <> 'open' OR b.cause = 'provider')
        AND s.claimed_at > coalesce(b.resumed_at, '-infinity')
    GROUP BY s.scope, s.track, s.channel, b.resumed_at
    HAVING greatest(count(*) FILTER (WHERE complaint), count(*) FILTER (WHERE NOT complaint)) >= :least
    ORDER BY s.scope, s.channel
""")
_COUNTED = "FROM message WHERE channel = :channel AND claimed_at > :since AND status = 'sent' AND pace = 1"
_OF_CHANNEL = text(f"SELECT count(*) FROM (SELECT {_COUNTED} LIMIT :enough) m")
_OF_TRACK = text(f"SELECT count(*) FROM (SELECT {_COUNTED} AND track = :track LIMIT :enough) m")
