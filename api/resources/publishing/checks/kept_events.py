"""Check that what is published reads only events that the policy keeps for so long."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from api.resources.publishing.documents import ScoreDocument, SegmentDocument, TrackDocument
from audience.retention import Need, needs_of_exclusions, needs_of_members, needs_of_score, unmet
from store.published import event_readers
from store.runs.events import event_retention
from tracks.policy.retention import EventRetention
from tracks.policy.workspace_policy import Policy, policy_to_data
from tracks.time.durations import format_duration

_ADVICE = "write a `within` no longer than that, or keep them longer (retention.events in the policy)"


async def problems_of(
    tx: AsyncConnection, needs: Iterable[Need], retention: EventRetention, now: datetime
) -> list[str]:
    """Why a document cannot be published: it reads events that are not kept for so long, or that are gone already."""
    asked = list(needs)
    found = [f"{words}; {_ADVICE}" for _, words in unmet(asked, retention.of)]
    gone = await event_retention.deleted_before(tx, {need.event for need in asked}) if asked else {}
    return found or [words for need in dict.fromkeys(asked) if (words := _deleted(need, gone, now))]


def _deleted(need: Need, gone: Mapping[str, datetime], now: datetime) -> str:
    """Of a name that is kept longer than it was. `ever` then means: since what is left begins."""
    before = gone.get(need.event)
    if before is None or need.within is None or now - need.within >= before:
        return ""
    reads = f"{need.part} reads events {need.event} of {format_duration(need.within)}"
    return f"{reads}, and those before {before:%Y-%m-%d} are deleted; publish it after {before + need.within:%Y-%m-%d}"


async def policy_problems(tx: AsyncConnection, policy: Policy, replaced: Mapping[str, set[str]]) -> list[str]:
    """What already published segments, scores and tracks read, and this policy would delete. `replaced` are published
    with it, and are judged by themselves."""
    retention = policy.retention.events
    if not retention.deletes:
        return []
    found = [("the policy", need) for need in needs_of_exclusions(policy_to_data(policy))]
    found += await event_readers.needs(tx, replaced=replaced)
    whose = {need: name for name, need in reversed(found)}
    return [f"retention.events: {whose[need]}: {words}" for need, words in unmet([n for _, n in found], retention.of)]


def needs_of_documents(
    segments: Iterable[SegmentDocument], scores: Iterable[ScoreDocument], tracks: Iterable[TrackDocument]
) -> Iterator[tuple[str, str, Iterable[Need]]]:
    """How far back each of these documents reads, with its part of the deploy and its name."""
    for segment in segments:
        if segment.reading.segment is not None:
            yield "segments", segment.name, needs_of_members(segment.reading.segment.members)
    for score in scores:
        if score.reading.score is not None:
            yield "scores", score.name, needs_of_score(score.reading.score)
    for track in tracks:
        if track.reading.track is not None:
            yield "tracks", track.name, needs_of_exclusions(track.reading.source.data)
