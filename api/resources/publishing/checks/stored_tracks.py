"""What the stored tracks need of a new policy, and of a new version of a template."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from store.published import tracks
from tracks.checks.references.sales_teams import teams_of
from tracks.checks.references.template_use import check_template_use
from tracks.checks.references.topic_use import topics_of
from tracks.content.templates.template import Template, template_facts
from tracks.model.track import Track
from tracks.policy.workspace_policy import Policy
from tracks.shared.problems import Problem


class Broken(NamedTuple):
    """A step of a track that a new version of a template does not fit."""

    step: str
    message: str


async def newest(tx: AsyncConnection) -> AsyncIterator[tuple[str, Track]]:
    """The newest version of every track with its name, including those that this transaction has stored."""
    after = ""
    while page := await tracks.list_all(tx, after=after, limit=100):
        for one in page:
            yield one.name, (await tracks.pinned(tx, one.name, one.latest)).track
        after = page[-1].name


async def parts_missed(tx: AsyncConnection, policy: Policy, brought: Collection[str]) -> list[Problem]:
    """Problems for topics and teams that tracks use and that this policy does not have.

    Not for the tracks `brought`, which come together with the policy: they are checked against it by themselves.
    """
    problems: list[Problem] = []
    async for name, track in newest(tx):
        if name in brought:
            continue
        for team in sorted(teams_of(track) - set(policy.sales.teams)):
            words = f"sales.teams: '{team}' is missing; the track {name} hands leads over to it"
            problems.append(Problem("policy", 0, "", words))
        for topic in sorted(topics_of(track) - set(policy.topics)):
            words = f"topics: '{topic}' is missing; the track {name} sends messages about it"
            problems.append(Problem("policy", 0, "", words))
    return problems


async def broken_by(
    tx: AsyncConnection,
    name: str,
    now: Template,
    before: Template | None,
    *,
    judged: Collection[tuple[str, int]],
    brought: Collection[str],
) -> list[Broken]:
    """The steps of tracks in use that fit the template's previous version but not the new one.

    Not those of the versions `judged`, which were checked with their track, nor of a track `brought` without live runs,
    which is about to be replaced.
    """
    facts, known = template_facts(now), template_facts(before) if before else None
    broken: list[Broken] = []
    for used in await tracks.in_use_with(tx, name):
        if (used.track, used.version) in judged or (used.track in brought and not used.live):
            continue
        stored = await tracks.pinned(tx, used.track, used.version)
        standing = set(check_template_use(stored.track, name, known)) if known else set()
        broken += [
            Broken(step, f"track {used.track} version {used.version}, step {step}: {said}")
            for step, said in check_template_use(stored.track, name, facts)
            if (step, said) not in standing
        ]
    return broken
