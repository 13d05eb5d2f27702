"""The segments and scores that tracks name at publishing: those of the same deploy, or else their newest versions."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from audience.scores.rules import Score, While
from audience.segments.attributes_read import of_conditions, of_members
from audience.segments.document import Segment
from audience.segments.members import Members, inner_segments, scores_of
from store.published import scores, segments
from tracks.checks.attribute_loops import Cause, Reads

_Read = frozenset[str] | None


class KnownAudience:
    """The segments and scores that tracks of a deploy may name."""

    def __init__(
        self,
        tx: AsyncConnection,
        segments_brought: Mapping[str, Segment | None],
        scores_brought: Mapping[str, Score | None],
    ) -> None:
        """None for one that the deploy brings with mistakes."""
        self._tx = tx
        self._segments, self._scores = segments_brought, scores_brought

    async def grades(self, named: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """The grades of those of these scores that exist and have no mistakes, the lowest grade first."""
        found = {name: await self._score(name) for name in sorted(named)}
        return {name: [grade.name for grade in score.grades.all] for name, score in found.items() if score}

    async def reads(self, causes: Collection[Cause]) -> Reads:
        """The attributes that each of these reads: its own, and those of the segments and scores that it is about.
        Nothing for one that does not exist."""
        return {cause: await self._of(cause) for cause in causes}

    async def _of(self, cause: Cause) -> _Read:
        found: set[str] = set()
        seen, ahead = {cause}, [cause]
        while ahead:
            read, about = await self._own(ahead.pop())
            if read is None:
                return None
            found |= read
            ahead += about - seen
            seen |= about
        return frozenset(found)

    async def _own(self, cause: Cause) -> tuple[_Read, set[Cause]]:
        """What it reads by itself, and the segments and scores that it is about."""
        if cause.kind == "segment":
            segment = await self._segment(cause.name)
            return _of_trees([segment.members] if segment else [])
        score = await self._score(cause.name)
        if score is None:
            return frozenset(), set()
        fit = of_conditions(rule.when for rule in score.fit)
        read, about = _of_trees([rule.members for rule in score.behaviour if isinstance(rule, While)])
        return (None if fit is None or read is None else fit | read), about

    async def _segment(self, name: str) -> Segment | None:
        if name in self._segments:
            return self._segments[name]
        summary = await segments.get(self._tx, name)
        return await segments.definition(self._tx, name, summary.latest) if summary else None

    async def _score(self, name: str) -> Score | None:
        if name in self._scores:
            return self._scores[name]
        summary = await scores.get(self._tx, name)
        return await scores.definition(self._tx, name, summary.latest) if summary else None


def _of_trees(trees: Collection[Members]) -> tuple[_Read, set[Cause]]:
    found: set[str] = set()
    about: set[Cause] = set()
    for members in trees:
        read = of_members(members)
        if read is None:
            return None, set()
        found |= read
        about |= {Cause("segment", name) for name in inner_segments(members)}
        about |= {Cause("score", name) for name in scores_of(members)}
    return frozenset(found), about
