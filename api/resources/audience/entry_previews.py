"""Whom a track would enrol by dates, and whom it would leave alone, before it is published."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.http.auth import KeyedRoute
from api.http.context import Context, Ctx
from api.http.problems import FieldProblem, documented, not_published
from api.resources.audience.segment_previews import AT_ONCE, SAMPLE, SHOWN
from audience.exclusions import Exclusion, exclusion_problems, exclusions_of
from audience.facts import Facts
from audience.segments.date_moments import DateSegment
from audience.segments.probes import probes
from store.audience.facts import facts_of, sample
from store.published import policies
from store.schema.rows import Contact
from tracks.checks.track_document import read_track
from tracks.model.entry import Entry
from tracks.model.track import Track

router = APIRouter(prefix="/v1/tracks", tags=["tracks"], route_class=KeyedRoute, responses=documented(401, 422))

_SOON = timedelta(days=30)


class EntryPreviewRequest(BaseModel):
    """A track to try."""

    model_config = ConfigDict(extra="forbid")

    source: Annotated[str, StringConstraints(min_length=1, max_length=500_000)] = Field(
        description="The track's YAML.",
        examples=["track: reminder\nentry: {date: {attribute: renews_on}}\nsteps: [{id: settle, wait: 1d}]\n"],
    )


class ComingDate(BaseModel):
    """A contact, and when the date comes."""

    contact_id: str
    at: datetime


class PreviewedEntry(BaseModel):
    """One of the ways in which the track is entered."""

    entry: str
    event: str = Field(description="The event that enrols.")
    dated: int | None = Field(description="For a date: how many of those evaluated have one that is still to come.")
    soon: int | None = Field(description="For a date: for how many it comes within 30 days.")
    next: list[ComingDate] | None = Field(description="For a date: those for whom it comes first.")


class LeftAlone(BaseModel):
    """A part of the rule `unless`, and how many contacts it excludes now."""

    by: Literal["track", "policy"]
    rule: str
    contacts: int


class EntryPreview(BaseModel):
    """Who would enter, and who would be left alone now. Nothing is kept."""

    track: str
    contacts: int = Field(description="How many contacts there are.")
    evaluated: int = Field(description="How many of them were evaluated: all, or a random sample.")
    entries: list[PreviewedEntry]
    unless: list[LeftAlone]


@router.post("/preview", summary="Preview a track's entries")
async def preview_entries(body: EntryPreviewRequest, ctx: Ctx) -> EntryPreview:
    """Checks the track by itself, and says of a sample of the contacts when their dates come and whom it leaves alone.

    What it needs of templates, segments and other tracks is checked by publishing.
    """
    reading = await asyncio.to_thread(read_track, body.source, "track")
    written = reading.source.data.get("unless") if isinstance(reading.source.data, Mapping) else None
    problems = [*reading.problems, *reading.at(exclusion_problems(written, ("unless",)))]
    if problems or reading.track is None:
        raise not_published("track", [FieldProblem(detail=p.message, line=p.line or None) for p in problems])
    track, now = reading.track, datetime.now(UTC)
    async with ctx.db.transaction() as tx:
        drawn = await sample(tx, SAMPLE)
        policy = (await policies.current(tx)).policy
    rules: list[tuple[Literal["track", "policy"], Exclusion]] = [
        *(("track", one) for one in exclusions_of(track.unless)),
        *(("policy", one) for one in exclusions_of(policy.unless)),
    ]
    excluded = await _excluded(ctx, [rule for _, rule in rules], drawn.contacts, now)
    return EntryPreview(
        track=track.track,
        contacts=drawn.total,
        evaluated=len(drawn.contacts),
        entries=[await asyncio.to_thread(_entry, entry, track, drawn.contacts, now) for entry in track.entries],
        unless=[LeftAlone(by=by, rule=rule.words, contacts=excluded[at]) for at, (by, rule) in enumerate(rules)],
    )


def _entry(entry: Entry, track: Track, people: Sequence[Contact], now: datetime) -> PreviewedEntry:
    moments = entry.moments(track.defaults.timezone)
    if moments is None:
        return PreviewedEntry(entry=entry.name, event=entry.cause[0], dated=None, soon=None, next=None)
    decider = DateSegment.of(moments).decider
    coming = [(at, person.id) for person in people if (at := decider.judged(Facts(person.view()), now)[1]) is not None]
    return PreviewedEntry(
        entry=entry.name,
        event=entry.cause[0],
        dated=len(coming),
        soon=sum(at <= now + _SOON for at, _ in coming),
        next=[ComingDate(contact_id=contact_id, at=at) for at, contact_id in sorted(coming)[:SHOWN]],
    )


async def _excluded(
    ctx: Context, rules: Sequence[Exclusion], people: Sequence[Contact], now: datetime
) -> Mapping[int, int]:
    """How many of these contacts each rule excludes, by the rule's place."""
    counts: Counter[int] = Counter()
    asked = probes(rule.members for rule in rules)
    for start in range(0, len(people) if rules else 0, AT_ONCE):
        async with ctx.db.transaction() as tx:
            facts = await facts_of(tx, [(person, asked) for person in people[start : start + AT_ONCE]], now)
        counts += await asyncio.to_thread(_count, rules, facts, now)
    return counts


def _count(rules: Sequence[Exclusion], facts: Mapping[str, Facts | None], now: datetime) -> Counter[int]:
    return Counter(
        place
        for known in facts.values()
        for place, rule in enumerate(rules)
        if (answer := rule.decider.judged(known, now)) is not None and answer[0]
    )
