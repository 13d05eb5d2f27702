"""All checks that protect the contact, made at the moment of sending in the transaction of the claim (law 4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.exclusions import exclusions_of
from store.audience import exclusions
from store.people.consents.permission import refusal
from store.people.handoffs.held_messages import WITH_SALES, held_until
from store.published import policies
from store.runs import condition_checks
from store.runs.condition_checks import count, holds
from store.runs.drop_counts import NOT_JUDGED
from store.schema.rows import Channel, Run
from store.sending.policy import breakers
from store.sending.policy.breakers import Deferred
from store.sending.policy.sales_hold import ask_again
from store.sending.policy.send_facts import COUNTED, SPANS
from tracks.model.message_rules import MessageRules
from tracks.model.sending import LATELY_AT_MOST, Lately
from tracks.policy.frequency_caps import Counted, applying, flooded, full
from tracks.policy.workspace_policy import Policy
from tracks.runs.event_matching import event_view
from tracks.time.durations import format_duration
from tracks.time.quiet_hours import NeverOpenError, sendable_at

FLOOD = "flood: "
"""The reason of a message that waits because its address has had too many; the limit follows."""


@dataclass(frozen=True, slots=True)
class SendDecision:
    """`go`: send it now. `skip`: never send it. `defer`: ask again at `until` (real time)."""

    outcome: Literal["go", "skip", "defer"]
    reason: str = ""
    until: datetime | None = None
    held_since: datetime | None = None
    """When its `hold` began (real time). A breaker leaves this None: its time does not use up the `hold`."""
    why: str = ""
    """If a breaker defers it: why that breaker is open."""


@dataclass(frozen=True, slots=True)
class SendRequest:
    """The message to decide about."""

    run: Run
    step: str
    channel: Channel
    address: str | None
    address_hash: str
    rules: MessageRules
    now: datetime
    """The run's current moment, in real time."""
    real: datetime
    """The actual time, for what does not depend on the run's clock: pauses and breakers."""
    held_since: datetime | None
    """Since when anything but a breaker has deferred it (real time)."""
    deferred: Deferred | None
    """What it was told last, if it waits."""

    @property
    def pace(self) -> float:
        return self.run.enrollment.pace

    @property
    def run_now(self) -> datetime:
        """The run's current moment on its own clock."""
        return self.run.enrollment.clock.at(self.now)


GO = SendDecision("go")


async def decide(tx: AsyncConnection, asked: SendRequest, facts: RowMapping) -> SendDecision:
    """Whether the message may be sent. In this order: permission, exclusions, sales, time, flood, caps, breakers.

    `facts` are the columns of `FACTS`. The contact's row is locked, and the address is locked against claims of other
    contacts with the same address, so what is counted here cannot change before this claim is written.
    """
    contact, rules = asked.run.contact, asked.rules
    assert contact is not None
    policy = (await policies.of_version(tx, facts["policy"])).policy
    why = refusal(
        policy,
        asked.channel,
        topic=rules.topic,
        transactional=rules.transactional,
        address=asked.address,
        suppressed=facts["suppressed"],
        consents=facts["consents"] or {},
        somebody_else=rules.to is not None,
    )
    if not why and facts["twin"] and not rules.transactional:
        why = "duplicate address"
    why = why or await _excluded(tx, asked) or await _left_alone(tx, asked, policy)
    if why:
        return SendDecision("skip", why)
    return await _when(tx, asked, policy, facts)


async def _when(tx: AsyncConnection, asked: SendRequest, policy: Policy, facts: RowMapping) -> SendDecision:
    """Whether the message has to wait, the cheapest check first; places under a breaker or cap are taken last."""
    rules = asked.rules
    contact = asked.run.contact
    assert contact is not None
    if not rules.transactional and contact.paused_until is not None and contact.paused_until > asked.real:
        return _held(asked, "paused", contact.paused_until)
    selling = _with_sales(asked, policy, facts)
    if selling is not None:
        return selling
    try:
        opens = _opens(asked, policy)
    except NeverOpenError:
        return SendDecision("skip", "quiet hours: they leave nothing of its window")
    if opens > asked.run_now:
        reason = "window" if rules.window is not None else "quiet hours"
        return _held(asked, reason, asked.run.enrollment.clock.real(opens))
    flood = flooded(policy.breaker, facts["lately"], asked.now, asked.pace)
    if flood is not None:
        return _held(asked, f"{FLOOD}{flood.cap}", flood.until)
    if rules.transactional and rules.to is None:
        return GO
    caps = applying(policy.caps, asked.channel, rules.topic) if rules.to is None else ()
    if caps:
        used = full(caps, await _counted(tx, asked, facts["counted"]), asked.now, asked.pace)
        if used is not None:
            return _held(asked, f"capped: {used.cap}", used.until)
    if facts["breakers"]:
        hold = await breakers.turn(tx, facts["breakers"], asked.real, asked.deferred)
        if hold is not None:  # without a limit: no message expires because of a breaker
            return SendDecision("defer", f"{breakers.REASON}{hold.scope}", hold.until, why=hold.why)
    return GO


def _with_sales(asked: SendRequest, policy: Policy, facts: RowMapping) -> SendDecision | None:
    """The decision about a promotional message to a lead that sales has; None if it is not held by that."""
    hold, track = policy.sales.hold, asked.run.enrollment.track
    end = None if asked.rules.transactional else held_until(hold, track, facts["handoffs"], asked.real, asked.pace)
    if hold is None or end is None:
        return None
    if hold.messages == "skip":
        return SendDecision("skip", WITH_SALES)
    patience, since = asked.rules.hold / asked.pace, asked.held_since or asked.now
    return _held(asked, WITH_SALES, ask_again(end, asked.now, since, patience, asked.pace))


def _held(asked: SendRequest, reason: str, until: datetime) -> SendDecision:
    """Defer the message, or skip it if it would then wait longer than its `hold` allows."""
    since = asked.held_since or asked.now
    if until - since > asked.rules.hold / asked.pace:
        return SendDecision("skip", f"expired: {reason}")
    return SendDecision("defer", reason, until, since)


def _opens(asked: SendRequest, policy: Policy) -> datetime:
    """The first moment on the run's clock outside the quiet hours and inside the window."""
    contact, rules = asked.run.contact, asked.rules
    assert contact is not None
    quiet = None if rules.transactional else policy.rules(asked.channel).quiet_hours
    window = rules.window
    if quiet is None and window is None:
        return asked.run_now
    return sendable_at(
        asked.run_now,
        contact.timezone if rules.to is None else None,
        (quiet.from_, quiet.to) if quiet else None,
        (window.from_, window.to, window.weekdays) if window else None,
        default=rules.timezone,
    )


async def _excluded(tx: AsyncConnection, asked: SendRequest) -> str:
    """Why the message's `unless` excludes the contact; empty if it does not."""
    unless, run = asked.rules.unless, asked.run
    if unless is None or run.contact is None:
        return ""
    if isinstance(unless, str):
        context = {"contact": run.contact.view(), "enrollment": run.enrollment.view(), "now": asked.run_now}
        return "excluded: condition" if await holds(tx, unless, context, run.enrollment.track, "message") else ""
    return await _did_lately(tx, asked, unless)


async def _left_alone(tx: AsyncConnection, asked: SendRequest, policy: Policy) -> str:
    """By which rule the track or the policy leaves the contact alone; empty if by none."""
    run, rules = asked.run, asked.rules
    if rules.transactional or run.contact is None:
        return ""
    ours, of_policy = exclusions_of(rules.excluded), exclusions_of(policy.unless)
    if not ours and not of_policy:
        return ""
    judging = exclusions.Judging(run.contact, (*ours, *of_policy))
    (judged,) = await exclusions.judge(tx, [judging], run.enrollment.clock, asked.now)
    if judged.by is not None:
        return f"excluded{'' if judged.by in ours else ' by policy'}: {judged.by.words}"
    if judged.unknown:
        count(tx, NOT_JUDGED, "message", run.enrollment.track)
    return ""


async def _did_lately(tx: AsyncConnection, asked: SendRequest, lately: Lately) -> str:
    rows = await tx.execute(
        _LATELY,
        {
            "contact": asked.run.enrollment.contact_id,
            "name": lately.event,
            "since": asked.now - lately.within / asked.pace,
            "limit": LATELY_AT_MOST,
        },
    )
    clock = asked.run.enrollment.clock
    failed: set[str] = set()
    for row in rows:
        context: Mapping[str, Any] = {"event": event_view(row, clock.at(row.occurred_at)), "now": asked.run_now}
        holding, why = condition_checks.judged(lately.where, context) if lately.where is not None else (True, "")
        if holding:
            return f"excluded: {lately.event} within {format_duration(lately.within)}"
        failed |= {why} - {""}
    for reason in failed:
        count(tx, reason, "message", asked.run.enrollment.track)
    return ""


async def _counted(tx: AsyncConnection, asked: SendRequest, known: list[Any] | None) -> list[Counted]:
    """The messages that count against caps. A waiting message counts only for messages of a lower priority."""
    if known is None:
        values = {"id": asked.run.enrollment.id, "hash": asked.address_hash, "now": asked.now, **SPANS}
        known = (await tx.execute(_COUNT, values)).scalar_one()
    return [
        Counted(channel, topic, datetime.fromisoformat(at))
        for channel, topic, at, priority in known
        if priority is None or priority > asked.rules.priority
    ]


_LATELY = text("""
    SELECT event_id, contact_id, name, properties, occurred_at FROM event
    WHERE contact_id = :contact AND name = :name AND occurred_at > :since
    ORDER BY occurred_at DESC LIMIT :limit
""")
_COUNT = text(f"""
    SELECT ({COUNTED}) FROM enrollment e CROSS JOIN (SELECT CAST(:hash AS text) AS hash) h WHERE e.id = :id
""")
