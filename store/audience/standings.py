"""Where contacts stand, as segments ask for it: in segments, on tracks, with consents, within reach of messages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from audience.facts import EVER, Facts, Span, Standing
from audience.segments.leaves.standings import Consents, Converted, InSegment, OnTrack, Reachable, StandingLeaf
from audience.segments.members import Members, scores_of, standings_of
from store.audience.facts import all_events_of
from store.audience.scores.values import with_grades
from store.engine.sql import any_of, many
from store.published import policies
from store.schema.addresses import address_hash
from store.schema.rows import Channel, Contact
from tracks.policy.permission import WHOLE_CHANNEL, refusal
from tracks.policy.workspace_policy import Policy

ALWAYS: Sequence[Span] = ((EVER, None),)
CHANNELS: Sequence[Channel] = ("email", "sms")
Standings = Mapping[StandingLeaf, Standing]
_Known = TypeVar("_Known", Facts, Facts | None)


async def all_facts_of(
    tx: AsyncConnection, people: Sequence[Contact], members: Members, now: datetime
) -> Mapping[str, Facts | None]:
    """The facts of each contact, by id: all that the tree is about; see `store.audience.facts.all_events_of`."""
    return await with_standings(tx, people, [members], await all_events_of(tx, people, members, now))


async def with_standings(
    tx: AsyncConnection,
    people: Sequence[Contact],
    trees: Collection[Members],
    facts: Mapping[str, _Known],
    *,
    segments: bool = True,
) -> Mapping[str, _Known]:
    """These facts with what the trees ask of the contacts' standings and grades. None stays None.

    Without `segments`, the caller adds the memberships of other segments itself.
    """
    facts = await with_grades(tx, facts, frozenset[str]().union(*map(scores_of, trees)))
    leaves = {leaf for tree in trees for leaf in standings_of(tree)}
    if not segments:
        leaves = {leaf for leaf in leaves if not isinstance(leaf, InSegment)}
    if not leaves or not people:
        return facts
    found = await _standings(tx, people, leaves)
    return {who: None if own is None else replace(own, standings=found[who]) for who, own in facts.items()}


async def _standings(
    tx: AsyncConnection, people: Sequence[Contact], leaves: Collection[StandingLeaf]
) -> Mapping[str, Standings]:
    found: dict[str, dict[StandingLeaf, Standing]] = {person.id: {} for person in people}
    for read, kinds in (
        (_of_segments, (InSegment,)),
        (_of_tracks, (OnTrack, Converted)),
        (_of_permission, (Consents, Reachable)),
    ):
        asked = [leaf for leaf in leaves if isinstance(leaf, kinds)]
        if asked:
            await read(tx, people, asked, found)
    return found


async def _of_segments(
    tx: AsyncConnection,
    people: Sequence[Contact],
    leaves: Sequence[Any],
    found: dict[str, dict[StandingLeaf, Standing]],
) -> None:
    asked = {"ids": [person.id for person in people], "names": sorted({leaf.in_ for leaf in leaves})}
    members = {(row.contact_id, row.segment) for row in await tx.execute(_MEMBERS, asked)}
    for person in people:
        for leaf in leaves:
            if (person.id, leaf.in_) in members:
                found[person.id][leaf] = Standing(ALWAYS)


async def _of_tracks(
    tx: AsyncConnection,
    people: Sequence[Contact],
    leaves: Sequence[Any],
    found: dict[str, dict[StandingLeaf, Standing]],
) -> None:
    names = {leaf.on if isinstance(leaf, OnTrack) else leaf.converted for leaf in leaves}
    on: dict[tuple[str, str], list[Span]] = defaultdict(list)
    converted: dict[tuple[str, str], list[Span]] = defaultdict(list)
    for row in await tx.execute(_RUNS, {"ids": [person.id for person in people], "names": sorted(names)}):
        key = (row.contact_id, row.track)
        on[key].append((row.created_at, row.ended_at))
        if row.status == "converted":
            converted[key].append((row.ended_at, None))
    for person in people:
        for leaf in leaves:
            spans = on[person.id, leaf.on] if isinstance(leaf, OnTrack) else converted[person.id, leaf.converted]
            found[person.id][leaf] = Standing(spans)


async def _of_permission(
    tx: AsyncConnection,
    people: Sequence[Contact],
    leaves: Sequence[Any],
    found: dict[str, dict[StandingLeaf, Standing]],
) -> None:
    consents: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for row in await tx.execute(_CONSENTS, {"ids": [person.id for person in people]}):
        consents[row.contact_id, row.channel][row.topic] = row.status
    suppressed, policy = await _reach(tx, people, leaves)
    for person in people:
        said = {channel: consents[person.id, channel] for channel in CHANNELS}
        for leaf in leaves:
            if isinstance(leaf, Consents):
                found[person.id][leaf] = _consent(leaf, said)
                continue
            why = refusal(
                policy,
                leaf.reachable,
                topic=leaf.topic or "",
                transactional=False,
                address=person.address(leaf.reachable),
                suppressed=suppressed.get((person.id, leaf.reachable)),
                consents=said[leaf.reachable],
            )
            found[person.id][leaf] = Standing(() if why else ALWAYS, why)


async def _reach(
    tx: AsyncConnection, people: Sequence[Contact], leaves: Sequence[Any]
) -> tuple[Mapping[tuple[str, str], str], Policy]:
    """Why the addresses of contacts are suppressed, by contact and channel; and the policy in force."""
    channels: list[Channel] = sorted({leaf.reachable for leaf in leaves if isinstance(leaf, Reachable)})
    if not channels:
        return {}, Policy()
    policy = (await policies.current(tx)).policy
    addresses = [
        (person.id, channel, address_hash(channel, address))
        for person in people
        for channel in channels
        if (address := person.address(channel))
    ]
    given = {"channel": [channel for _, channel, _ in addresses], "hash": [hashed for _, _, hashed in addresses]}
    rows = await tx.execute(_SUPPRESSED, given)
    return {addresses[row.ord - 1][:2]: row.reason for row in rows}, policy


def _consent(leaf: Consents, said: Mapping[Channel, Mapping[str, str]]) -> Standing:
    """A consent to a topic does not count on a channel that was withdrawn as a whole."""
    channel = next((channel for channel in CHANNELS if channel == leaf.consents), leaf.channel)
    topic = WHOLE_CHANNEL if leaf.consents in CHANNELS else leaf.consents
    statuses = []
    for one in CHANNELS if channel is None else (channel,):
        withdrawn = said[one].get(WHOLE_CHANNEL) == "withdrawn"
        statuses.append("withdrawn" if withdrawn else said[one].get(topic, "nothing said"))
    if "granted" in statuses:
        return Standing(ALWAYS)
    return Standing(why=next(status for status in ("pending", "withdrawn", "nothing said") if status in statuses))


_MEMBERS = text(f"""
    SELECT m.contact_id, m.segment FROM membership m JOIN segment s ON s.name = m.segment AND s.live = m.version
    WHERE m.contact_id = {any_of("ids")} AND m.segment = {any_of("names")} AND m.member
""")
_RUNS = text(f"""
    SELECT contact_id, track, status, created_at, ended_at FROM enrollment
    WHERE contact_id = {any_of("ids")} AND track = {any_of("names")}
""")
_CONSENTS = text(f"SELECT contact_id, channel, topic, status FROM consent WHERE contact_id = {any_of('ids')}")
_SUPPRESSED = text(f"""
    SELECT a.ord, s.reason FROM {many("a", channel="text", hash="text")}
    JOIN suppression s ON s.channel = a.channel AND s.address_hash = a.hash
""")
