"""Whether a score's grades and rules agree with what sales did with the leads that were handed over.

A lead is *answered* if sales accepted or rejected it. Leads that nobody answered say nothing of the lead, so they are
counted and left out of every share. One who accepted and gave the lead back had accepted it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from measure.intervals import Count, Interval, difference, ratio, wilson

LEAST = 10
"""With fewer answered leads on either side, nothing is said of a rule."""


@dataclass(frozen=True, slots=True)
class Leads:
    """How the handed-over leads of a group ended."""

    accepted: int = 0
    """Also those given back later, and those who became customers."""
    converted: int = 0
    """Those who became customers; they are among the accepted."""
    rejected: int = 0
    unanswered: int = 0

    @property
    def answered(self) -> Count:
        """The answered leads, and how many of these sales accepted."""
        return Count(self.accepted + self.rejected, self.accepted)

    @property
    def customers(self) -> Count:
        """The answered leads, and how many of these became customers."""
        return Count(self.accepted + self.rejected, self.converted)


@dataclass(frozen=True, slots=True)
class GradeQuality:
    """One grade: which share of its leads sales accepted, and which became customers."""

    grade: str
    leads: Leads
    accepted: Interval
    converted: Interval


Verdict = Literal["borne out", "not borne out", "contradicted", "too few"]
"""`borne out`: sales accepts such leads more often, as positive points say (or less often, for negative points).
`contradicted`: the opposite. `not borne out`: no difference is seen. `too few` leads to say anything."""


@dataclass(frozen=True, slots=True)
class RuleQuality:
    """One rule: the leads to which it gave points, beside those to which it gave none."""

    rule: str
    points: float
    """The mean of the points that it gave."""
    given: Leads
    others: Leads
    more_accepted: Interval
    """The difference of the accepted shares: given less others."""
    ratio: Interval | None
    """How many times as often such leads are accepted; None where one share is zero."""
    verdict: Verdict


def grades(by_grade: Mapping[str, Leads]) -> list[GradeQuality]:
    """The quality of each grade, in the order given."""
    return [
        GradeQuality(grade, leads, wilson(leads.answered), wilson(leads.customers)) for grade, leads in by_grade.items()
    ]


def rule(name: str, points: float, given: Leads, others: Leads) -> RuleQuality:
    """The quality of one rule. `points` is the mean of what it gave, which says what is expected of it.

    The verdict is by the interval of the difference: a rule is borne out if the whole interval lies on the side of its
    points. Many rules are looked at together, so of twenty that do nothing one may seem to do something.
    """
    one, other = given.answered, others.answered
    gap = difference(one, other)
    return RuleQuality(name, points, given, others, gap, ratio(one, other), _verdict(points, one, other, gap))


def unsupported(rules: Sequence[RuleQuality]) -> list[RuleQuality]:
    """The rules whose points the outcomes do not bear out; those that they contradict come first."""
    found = [one for one in rules if one.verdict in ("contradicted", "not borne out")]
    return sorted(found, key=lambda one: (one.verdict != "contradicted", one.rule))


def _verdict(points: float, one: Count, other: Count, gap: Interval) -> Verdict:
    if min(one.of, other.of) < LEAST:
        return "too few"
    low, high = (gap.low, gap.high) if points >= 0 else (-gap.high, -gap.low)
    if low > 0:
        return "borne out"
    return "contradicted" if high < 0 else "not borne out"
