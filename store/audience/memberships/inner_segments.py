"""What is known of a contact's membership of other segments, while the segments that are about them are evaluated."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from audience.facts import EVER, Facts, Span, Standing
from audience.segments.leaves.standings import InSegment


class InnerSegments:
    """One contact's memberships by the versions that count, with the changes of this evaluation.

    A segment must be evaluated before those that are about it.
    """

    def __init__(self, known: Mapping[tuple[str, int], bool], counting: Mapping[str, int]) -> None:
        """`known` tells of versions whether the contact is stored as a member; `counting` is that of each segment."""
        self._known, self._counting = known, counting
        self._turns: dict[str, list[datetime]] = defaultdict(list)

    def turned(self, pin: tuple[str, int], moment: datetime) -> None:
        """The contact has entered or left at that moment. Moments come in order."""
        segment, version = pin
        if self._counting.get(segment) == version:
            self._turns[segment].append(moment)

    def first_turn(self, leaves: Sequence[InSegment]) -> datetime | None:
        """The first moment of this evaluation at which one of these segments has changed."""
        return min((moment for leaf in leaves for moment in self._turns[leaf.in_]), default=None)

    def added(self, facts: Facts | None, leaves: Sequence[InSegment]) -> Facts | None:
        """The facts with the memberships of these segments."""
        if facts is None or not leaves:
            return facts
        found = {leaf: Standing(self._spans(leaf.in_)) for leaf in leaves}
        return replace(facts, standings={**facts.standings, **found})

    def _spans(self, segment: str) -> list[Span]:
        version = self._counting.get(segment)
        begin = EVER if version is not None and self._known.get((segment, version)) else None
        spans: list[Span] = []
        for moment in self._turns[segment]:
            if begin is None:
                begin = moment
            else:
                spans.append((begin, moment))
                begin = None
        return spans if begin is None else [*spans, (begin, None)]
