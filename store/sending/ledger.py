"""The ledger of messages: claim, send, settle (`store.sending.send_outcomes`). A message is never sent twice.

A row is `sending` while an attempt holds its claim, and then `sent`, `failed`, `skipped` (refused before the provider
was asked), `unknown` (nobody knows the outcome), `released` (certainly not sent, so it may be claimed again) or
`deferred` (it has to wait, and is checked again then). The last two end with their run: closing the run makes them
`skipped` (`store.runs.enrollments.enrollments.close`). No address is stored.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later, together
from store.engine.hash_secret import FINGERPRINT, demand
from store.engine.ids import is_id, new_id
from store.engine.pipeline import Statement
from store.engine.sql import utc_now
from store.people.handoffs import salespeople
from store.published import policies
from store.runs.enrollments.enrollments import LOCK_CONTACT, PATH_INSERT, check_contact, path_arrays
from store.schema.addresses import HASH, address_hash
from store.schema.merge_reasons import UNDER_WAY
from store.schema.rows import Channel, Contact, Enrollment, Run, columns, read_row
from store.sending import merged_twins
from store.sending.messages.messages import COLUMNS, Message, MessageStatus
from store.sending.policy.breakers import Deferred
from store.sending.policy.send_facts import FACTS, SPANS
from store.sending.policy.send_policy import SendDecision, SendRequest, decide
from tracks.model.message_rules import MessageRules
from tracks.model.recipients import Addressee, Recipient
from tracks.runs.run_interface import PathEntry
from tracks.shared.effect_keys import effect_key

Rules = Callable[[AsyncConnection, Enrollment], Awaitable[MessageRules]]
"""Reads a message's rules from the track version that the enrollment is pinned to."""


@dataclass(frozen=True, slots=True)
class Claim:
    """The decision about a message.

    `granted`: send it now, to `address`, then settle. It is granted once, and again only after a
    release. `settled`: it is over; see `status` (`sent`, `failed`, `skipped`) and `reason`. `deferred`: claim it again
    at `until` (real time). `unknown`: an earlier attempt had claimed it, and nobody knows whether it was sent. `ended`:
    the enrollment is over; see `reason` (`ended`, `goal`, `exit`, `erased`).
    """

    decision: Literal["granted", "settled", "deferred", "unknown", "ended"]
    run: Run
    message_id: str = ""
    status: MessageStatus | None = None
    reason: str = ""
    until: datetime | None = None
    newest: int | None = None
    """If granted: the newest version of `MessageRules.template`."""
    first: bool = False
    """Whether this is the first claim of the message."""
    why: str = ""
    """If a breaker defers it: why that breaker is open."""
    address: str = ""
    """If granted: the address of the contact, or of the somebody else to whom it goes."""


async def claim(
    tx: AsyncConnection,
    *,
    enrollment_id: str,
    step: str,
    occurrence: int,
    channel: Channel,
    token: str,
    rules: MessageRules | Rules = MessageRules(),
    template: str = "",
    to: Addressee | None = None,
    path: Sequence[PathEntry] = (),
    due: datetime | None = None,
    now: datetime | None = None,
) -> Claim:
    """Claim the right to send the message of this effect, after all checks that protect the contact.

    `token` is unique to the attempt. Claims of the same contact, or of the same address, wait for each other, and for a
    transaction that is storing a goal. `path` is stored whatever is decided. `store.sending.policy.send_policy` lists
    the checks. `template` is the one that `rules` probably name: its newest version is read in the same statement. `to`
    is the somebody else whom `rules` probably name. `due` is the current time of a run whose clock jumps; hours, caps
    and spans of time are computed from it. Raises LookupError if there is no such enrollment.
    """
    real = now or utc_now()
    now = due or real
    asked: dict[str, Any] = {
        "id": enrollment_id,
        "channel": channel,
        "key": effect_key(enrollment_id, step, occurrence),
        "step": step,
        "hash": None,
        "template": template,
        "counting": bool(policies.known(tx).caps),
        "now": now,
        **SPANS,
    }
    contact, row, address = await _read(tx, asked, to)
    run = Run(read_row(Enrollment, row, "e_"), contact)
    message = read_row(Message, row, "m_") if row["m_id"] is not None else None
    if message is not None and message.status == "sending":
        message = await _abandoned(tx, message)
    written = {**asked, **path_arrays(path), "message": message.id if message else new_id(), "token": token}
    if message is not None and message.status not in ("released", "deferred"):
        later(tx, _PROGRESS, written)
        if message.status == "unknown":
            return Claim("unknown", run, message.id, "unknown")
        return Claim("settled", run, message.id, message.status, message.reason)
    over = "erased" if contact is None else run.enrollment.over
    if over and message is None:
        later(tx, _PROGRESS, written)
        return Claim("ended", run, reason=over)
    found = rules if isinstance(rules, MessageRules) else await rules(tx, run.enrollment)
    if found.to != to:
        return await claim(
            tx,
            enrollment_id=enrollment_id,
            step=step,
            occurrence=occurrence,
            channel=channel,
            token=token,
            rules=found,
            template=template,
            to=found.to,
            path=path,
            due=due,
            now=real,
        )
    if over:
        judged = SendDecision("skip", over)
    else:
        held_since = message.held_since if message else None
        twin = await merged_twins.decision(tx, message, run.enrollment, real)
        asked_for = SendRequest(
            run, step, channel, address, asked["hash"], found, now, real, held_since, _deferred(message)
        )
        judged = twin or await decide(tx, asked_for, row)
    later(tx, _WRITE, written | _judged(judged, run, found, now))
    if over:
        return Claim("ended", run, written["message"], reason=over)
    if judged.outcome == "skip":
        return Claim("settled", run, written["message"], "skipped", judged.reason)
    if judged.outcome == "defer":
        return Claim("deferred", run, written["message"], "deferred", judged.reason, judged.until, why=judged.why)
    newest = row["newest"] if found.template == template else None
    return Claim("granted", run, written["message"], newest=newest, first=message is None, address=address or "")


def _deferred(message: Message | None) -> Deferred | None:
    if message is None or message.status != "deferred" or message.due_at is None or message.reason == UNDER_WAY:
        return None
    return Deferred(message.reason, message.claimed_at, message.due_at)


def _judged(judged: SendDecision, run: Run, rules: MessageRules, now: datetime) -> dict[str, Any]:
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
        "recipient": rules.to.written if rules.to is not None else "",
    }


async def _read(
    tx: AsyncConnection, asked: dict[str, Any], to: Addressee | None
) -> tuple[Contact | None, RowMapping, str | None]:
    """Lock the contact and the address, and read the facts; also answers the address, and sets its hash in `asked`."""
    if not is_id(asked["id"]):
        raise LookupError("there is no such enrollment")
    lock = _LOCK if to is None else LOCK_CONTACT
    locked, found = await together(tx, Statement(lock, asked), Statement(_READ, asked))
    person, facts = locked.mappings().first(), found.mappings().first()
    if facts is None:
        raise LookupError("there is no such enrollment")
    demand(facts["secret"])
    contact = read_row(Contact, person) if person else None
    await check_contact(tx, facts["e_contact_id"], contact.id if contact else None)
    address = contact.address(asked["channel"]) if contact else None
    if to is not None and contact is not None:
        sales = await salespeople.mailbox_of(tx, contact.id) if isinstance(to, Recipient) and to.salesperson else None
        address = to.address(asked["channel"], contact.attributes or {}, facts["e_properties"], sales)
        await tx.execute(_LOCK_ADDRESS, {"address": address or ""})
    asked["hash"] = address_hash(asked["channel"], address) if address else ""
    # Read again where PostgreSQL cannot normalise the address, and after the lock of somebody else's.
    if to is not None or facts["hash"] != asked["hash"]:
        facts = (await tx.execute(_READ, asked)).mappings().one()
    return contact, facts, address


async def _abandoned(tx: AsyncConnection, message: Message) -> Message:
    """An earlier attempt's claim becomes `unknown`, unless that attempt has settled it at this moment."""
    return read_row(Message, (await tx.execute(_ABANDON, {"id": message.id})).mappings().one())


_STATUS = {"go": "sending", "skip": "skipped", "defer": "deferred"}

# Two contacts may share an address. The address is locked together with the contact, in one statement, so that this
# claim sees what a claim of the other contact has just written. Spellings that lower() does not unify may still race.
_LOCK = text(f"""
    SELECT {columns(Contact, "c")},
        pg_advisory_xact_lock(
            hashtextextended(CASE WHEN CAST(:channel AS text) = 'email' THEN lower(c.email) ELSE c.phone END, 0)
        )
    FROM contact c WHERE c.id = (SELECT contact_id FROM enrollment WHERE id = :id) FOR NO KEY UPDATE
""")
# As `_LOCK` locks an address, so that claims of one address wait for each other, whoever it belongs to.
_LOCK_ADDRESS = text("SELECT pg_advisory_xact_lock(hashtextextended(lower(:address), 0))")
# FOR NO KEY UPDATE waits for a transaction that is storing this run's goal, and then sees it. Claims of one contact
# lock the contact's row, so no other claim can be changing the effect's message that this reads.
_READ = text(f"""
    SELECT {columns(Enrollment, "e", "e_")}, {columns(Message, "m", "m_")}, {FACTS},
        (SELECT latest FROM template WHERE name = :template) AS newest, h.hash,
        {FINGERPRINT} AS secret
    FROM enrollment e
    LEFT JOIN contact c ON c.id = e.contact_id
    CROSS JOIN LATERAL (SELECT coalesce(CAST(:hash AS text), {HASH}) AS hash) h
    LEFT JOIN message m ON m.effect_key = :key
    LEFT JOIN suppression s ON s.channel = :channel AND s.address_hash = h.hash
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
        claimed_at, settled_at, topic, transactional, priority, pace, address_hash, held_since, due_at, recipient)
    VALUES (:message, :key, :id, :contact, :track, :step, :channel, :status, :token, :reason,
        :now, :settled, :topic, :transactional, :priority, :pace, nullif(:hash, ''), :held, :due, :recipient)
    ON CONFLICT (effect_key) DO UPDATE SET status = excluded.status, channel = excluded.channel,
        token = excluded.token, reason = excluded.reason, attempts = m.attempts + 1,
        claimed_at = excluded.claimed_at, settled_at = excluded.settled_at, topic = excluded.topic,
        transactional = excluded.transactional, priority = excluded.priority, address_hash = excluded.address_hash,
        held_since = CASE WHEN excluded.status = 'deferred' THEN excluded.held_since ELSE m.held_since END,
        due_at = excluded.due_at, recipient = excluded.recipient
""")
_ABANDON = text(f"""
    UPDATE message m SET status = CASE WHEN status = 'sending' THEN 'unknown' ELSE status END
    WHERE id = :id RETURNING {COLUMNS}
""")
