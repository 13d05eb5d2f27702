"""The facts by which it is decided whether a message may be sent, read by the statement of its claim."""

from __future__ import annotations

from datetime import timedelta

from store.people.consents.permission import CONSENTS
from store.people.handoffs.held_messages import HANDOFFS
from store.published.policies import NEWEST
from tracks.policy.workspace_policy import MAX_CAP, MAX_PER_ADDRESS

SAME_ADDRESS = timedelta(days=30)
"""Within this time (on the run's clock), contacts who share an address get a step's message only once."""
YIELDS_FOR = timedelta(hours=1)
"""A waiting message of a higher priority keeps its place under a cap until it is overdue by this much (real time)."""
COUNTED = """
    SELECT coalesce(jsonb_agg(jsonb_build_array(c.channel, c.topic, c.at, c.priority)), '[]') FROM (
        WITH mine AS (
            SELECT id FROM message WHERE contact_id = e.contact_id
            UNION SELECT id FROM message WHERE address_hash = h.hash
        )
        SELECT m.channel, m.topic, m.claimed_at AS at, CAST(NULL AS integer) AS priority
        FROM message m JOIN mine USING (id)
        WHERE NOT m.transactional AND m.pace = e.pace AND m.status IN ('sending', 'sent', 'unknown')
            AND m.claimed_at > :now - CAST(:longest_cap AS interval) / e.pace
        UNION ALL
        SELECT m.channel, m.topic, greatest(m.due_at, :now), m.priority FROM message m JOIN mine USING (id)
        JOIN enrollment live ON live.id = m.enrollment_id AND live.ended_at IS NULL
        WHERE NOT m.transactional AND m.pace = e.pace AND m.status = 'deferred'
            AND m.due_at > :now - CAST(:yields_for AS interval) AND starts_with(m.reason, 'capped')
    ) c
"""
# OFFSET keeps the planner from searching by track first. Without statistics, as for a new table, it would read
# everything that the track had sent in thirty days.
_TO_THE_ADDRESS = """
    SELECT * FROM message WHERE address_hash = h.hash AND claimed_at > :now - CAST(:same_address AS interval) / e.pace
    OFFSET 0
"""
FACTS = f"""
    s.reason AS suppressed, {CONSENTS.format(contact="e.contact_id", channel=":channel")} AS consents,
    {NEWEST} AS policy,
    (SELECT array_agg(b.scope) FROM breaker b
     WHERE b.state <> 'closed' AND b.scope IN ('account:' || CAST(:channel AS text), 'track:' || e.track)) AS breakers,
    EXISTS (
        SELECT FROM ({_TO_THE_ADDRESS}) d
        WHERE d.track = e.track AND d.step = :step AND d.contact_id <> e.contact_id AND d.pace = e.pace
            AND d.status IN ('sending', 'sent', 'unknown')
    ) AS twin,
    {HANDOFFS} AS handoffs,
    CASE WHEN CAST(:counting AS boolean) THEN ({COUNTED}) END AS counted,
    ARRAY(
        SELECT n.claimed_at FROM message n
        WHERE n.address_hash = h.hash AND n.claimed_at > :now - interval '1 day' / e.pace AND n.pace = e.pace
            AND n.status IN ('sending', 'sent', 'unknown')
        ORDER BY n.claimed_at DESC LIMIT {MAX_PER_ADDRESS}
    ) AS lately
"""
"""The select list that `send_policy.decide` needs, read by the claim's own statement: from `suppression s`, the
enrollment `e` and the address `h.hash`.

The messages that count against caps are read only if the newest policy that this process knows has caps
(`policies.known`).
"""
SPANS = {"same_address": SAME_ADDRESS, "longest_cap": MAX_CAP, "yields_for": YIELDS_FOR}
"""The statement's parameters for spans of time."""
