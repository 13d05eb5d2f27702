"""How well a score tells which leads sales takes: shares per grade, and rules that the outcomes do not bear out."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from api.http.auth import KeyedRoute
from api.http.context import Ctx
from api.http.fields import SLUG, WrittenMoment
from api.http.problems import documented
from measure import score_quality
from measure.intervals import Interval, wilson
from measure.score_quality import GradeQuality, Leads, RuleQuality, Verdict
from store.people.handoffs import score_outcomes
from store.people.handoffs.score_outcomes import Ended

router = APIRouter(prefix="/v1/handoffs", tags=["handoffs"], route_class=KeyedRoute)


class Share(BaseModel):
    """An estimate with its interval, at a confidence of 95 percent."""

    estimate: float
    low: float
    high: float


class LeadCounts(BaseModel):
    """How handed-over leads ended."""

    accepted: int = Field(description="Also those given back later, and those who became customers.")
    converted: int
    rejected: int
    unanswered: int = Field(description="In no share: silence says nothing of the lead.")


class LateCounts(BaseModel):
    """Of the unanswered leads: what sales said of them later, by its last word. They are in no share."""

    accepted: int
    rejected: int


class ExploredReport(BaseModel):
    """The leads of a grade that were handed over by chance: a sample of those who would not have been."""

    leads: LeadCounts
    accepted: Share
    converted: Share


class GradeReport(BaseModel):
    """The leads that had one grade when they were handed over."""

    grade: str
    leads: LeadCounts
    late: LateCounts
    accepted: Share = Field(description="The share of the answered leads that sales accepted.")
    converted: Share = Field(description="The share of the answered leads that became customers.")
    explored: ExploredReport | None = Field(
        description="Of these, the leads that were handed over by chance; null if there are none."
    )


class RuleReport(BaseModel):
    """The leads to which a rule had given points, beside those to which it had given none."""

    rule: str
    points: float = Field(description="The mean of the points that it gave.")
    leads: LeadCounts
    accepted: Share = Field(description="The share of its answered leads that sales accepted.")
    converted: Share = Field(description="The share of its answered leads that became customers.")
    others: LeadCounts
    more_accepted: Share = Field(description="The accepted share of its leads less that of the others.")
    ratio: Share | None = Field(description="The one share divided by the other; null where one is zero.")
    verdict: Verdict


class ScoreQuality(BaseModel):
    """What sales did with the leads of each grade, and what that says of the rules."""

    score: str
    grades: list[GradeReport]
    rules: list[RuleReport]
    unsupported: list[str] = Field(
        description="The rules whose points the outcomes do not bear out; those that they contradict first."
    )


@router.get("/quality", summary="Compare a score with what sales says", responses=documented(401, 422))
async def get_score_quality(
    ctx: Ctx,
    score: Annotated[str, Query(pattern=SLUG, description="The score's name.")],
    since: Annotated[WrittenMoment | None, Query(description="Handed over at this time or later.")] = None,
    until: Annotated[WrittenMoment | None, Query(description="Handed over before this time.")] = None,
) -> ScoreQuality:
    """By the grades and points that the leads had when they were handed over."""
    async with ctx.db.transaction() as tx:
        ended = await score_outcomes.by_grade(tx, score, since=since, until=until)
        explored = await score_outcomes.explored_by_grade(tx, score, since=since, until=until)
        by_rule = await score_outcomes.by_rule(tx, score, since=since, until=until)
    rules = [score_quality.rule(one.rule, one.points, _leads(one.given), _leads(one.others)) for one in by_rule]
    grades = score_quality.grades({grade: _leads(one) for grade, one in ended.items()})
    chosen = score_quality.grades({grade: _leads(one) for grade, one in explored.items()})
    by_chance = {one.grade: one for one in chosen}
    return ScoreQuality(
        score=score,
        grades=[_grade(one, ended[one.grade], by_chance.get(one.grade)) for one in grades],
        rules=[_rule(one) for one in rules],
        unsupported=[one.rule for one in score_quality.unsupported(rules)],
    )


def _leads(ended: Ended) -> Leads:
    return Leads(ended.accepted, ended.converted, ended.rejected, ended.unanswered)


def _grade(one: GradeQuality, ended: Ended, explored: GradeQuality | None) -> GradeReport:
    return GradeReport(
        grade=one.grade,
        leads=_counts(one.leads),
        late=LateCounts(accepted=ended.late_accepted, rejected=ended.late_rejected),
        accepted=_share(one.accepted),
        converted=_share(one.converted),
        explored=None if explored is None else _explored(explored),
    )


def _explored(one: GradeQuality) -> ExploredReport:
    return ExploredReport(leads=_counts(one.leads), accepted=_share(one.accepted), converted=_share(one.converted))


def _rule(one: RuleQuality) -> RuleReport:
    return RuleReport(
        rule=one.rule,
        points=round(one.points, 3),
        leads=_counts(one.given),
        accepted=_share(wilson(one.given.answered)),
        converted=_share(wilson(one.given.customers)),
        others=_counts(one.others),
        more_accepted=_share(one.more_accepted),
        ratio=_share(one.ratio) if one.ratio else None,
        verdict=one.verdict,
    )


def _counts(leads: Leads) -> LeadCounts:
    return LeadCounts(
        accepted=leads.accepted, converted=leads.converted, rejected=leads.rejected, unanswered=leads.unanswered
    )


def _share(interval: Interval) -> Share:
    return Share(estimate=round(interval.estimate, 4), low=round(interval.low, 4), high=round(interval.high, 4))
