"""The activities of `handoff` steps: `hand_over` makes a task for a salesperson, `settle_handoff` ends the wait."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import (
    HAND_OVER,
    SETTLE_HANDOFF,
    EffectResult,
    HandedOver,
    SettledHandoff,
    SettleHandoffCall,
    StepCall,
)
from activities.effects.lead_summary import summary_of
from activities.providers import builtin_crm
from activities.providers.ports import Crm, CrmChange, CrmContact, CrmTask
from activities.providers.provider_errors import ProviderError, Verdict
from activities.shared.idempotency import attempt, begin, contact_of, finish, scheduled_at
from activities.shared.matched_event import effect_context
from activities.shared.step_content import Links, find_in
from activities.shared.temporal_errors import again_later, without_details
from store.engine.database import Database
from store.people.handoffs import answering, assigning, exploring, lead_facts, mail_due
from store.people.handoffs import handoff as handoffs
from store.people.handoffs.assigning import Lead
from store.people.handoffs.exploring import Judged
from store.people.handoffs.handoff import Handoff
from store.people.hubspot import own_writes
from store.people.hubspot.hubspot_change import Properties
from store.people.hubspot.own_writes import Written
from store.published import policies, tracks
from store.runs.effect_records import Begun
from store.runs.enrollments import enrollments
from tracks.content.rendering.liquid_rendering import render_text
from tracks.content.rendering.template_error import TemplateError
from tracks.model.steps.steps import HandoffStep
from tracks.model.track import Track
from tracks.policy.sales import Sales, Team
from tracks.runs.handoff_answers import event_id, event_of
from tracks.runs.history_bounds import carried
from tracks.runs.run_interface import Matched
from tracks.shared.effect_keys import effect_key

NO_TEAM, NOBODY = "no such team", "nobody takes it"
RESTS = "rejected by sales, rests"
"""The reason of a lead that sales has rejected within the policy's `rest_after_rejection`; until when follows."""
TITLE_AT_MOST = 200
"""Characters of a task's title."""


class HandoffActivities:
    """Hands leads over through the outside CRM, or through the project's own tables if there is none."""

    def __init__(self, db: Database, outside: Crm | None, links: Links, properties: Properties) -> None:
        """`properties` say which of the outside CRM's properties become attributes."""
        self._db = db
        self._properties = properties
        self._outside = outside
        self._links = links

    @activity.defn(name=HAND_OVER)
    @without_details
    async def hand_over(self, call: StepCall) -> HandedOver:
        """Choose the salesperson, store the handoff, and make the task. A repeated attempt makes no second task.

        The salesperson and the texts are chosen once, by the first attempt. Raises ApplicationError if the CRM cannot
        be reached now.
        """
        async with self._db.transaction() as tx:
            begun = await begin(tx, call)
            if isinstance(begun, EffectResult):
                return await _before(tx, call, begun)
            made = await handoffs.of_effect(tx, begun.effect_key)
            sales = (await policies.current(tx)).policy.sales
            teams = sales.teams
            track, step = await find_in(tx, begun.run.enrollment, call.step, HandoffStep)
            team = teams.get(made.team if made else step.handoff.to)
            if made is None:
                if team is None:
                    return await self._not_made(tx, begun, "skipped", NO_TEAM)
                if (rests := await _rests(tx, sales, begun)) is not None:
                    return await self._not_made(tx, begun, "skipped", rests)
                needs, judged = step.handoff.needs, Judged()
                if needs is not None:
                    place = f"{track.track}/{step.id}"
                    judged = await exploring.judge(tx, needs, contact_of(begun), place, datetime.now(UTC))
                    if judged.reason and not judged.explored:
                        return await self._not_made(tx, begun, "skipped", judged.reason)
                try:
                    made = await self._assigned(tx, call, begun, step, team, track, explored=judged.explored)
                except TemplateError as error:
                    return await self._not_made(tx, begun, "failed", f"template: {error.code}")
                if made is None:
                    return await self._not_made(tx, begun, "skipped", NOBODY)
            change = self._change(made, team, scheduled_at())
            if self._outside is None:
                await builtin_crm.apply(tx, made.contact_id, change)
                await assigning.set_task(tx, made.effect_key)
                await _notify(tx, sales, made)
                await finish(tx, begun, "handoff", "done")
                return HandedOver(outcome="waiting", due=made.due_at)
        return await self._made_outside(self._outside, begun, made, change)

    @activity.defn(name=SETTLE_HANDOFF)
    @without_details
    async def settle_handoff(self, call: SettleHandoffCall) -> SettledHandoff:
        """End the handoff, unless sales has answered in time; answers which of the two it is."""
        key = effect_key(call.enrollment_id, call.step, call.occurrence)
        async with self._db.transaction() as tx:
            settled = await answering.settle(tx, key, call.status)
            answer = _answer(settled)
            if settled is None or answer is None or settled.answered_at is None:
                return SettledHandoff(outcome="expired")
            run = await enrollments.get(tx, call.enrollment_id)
            compiled = (await tracks.pinned(tx, run.track, run.version)).compiled if run else None
        properties = carried(answering.properties_of(settled), compiled) if compiled else {}
        event = Matched(
            event_id=event_id(key, answer), name=event_of(answer), at=settled.answered_at, properties=properties
        )
        return SettledHandoff(outcome=answer, event=event)

    async def _assigned(
        self,
        tx: AsyncConnection,
        call: StepCall,
        begun: Begun,
        step: HandoffStep,
        team: Team,
        track: Track,
        *,
        explored: bool,
    ) -> Handoff | None:
        contact = contact_of(begun)
        context = await effect_context(tx, begun.run.enrollment, contact, track, call)
        reason = " ".join(render_text(step.handoff.reason, context).split())[:TITLE_AT_MOST]
        now = datetime.now(UTC)
        facts = await lead_facts.read(tx, contact, now)
        due = scheduled_at() + call.clock.real_delay(step.handoff.due)
        lead = Lead(
            begun.run,
            begun.effect_key,
            step.id,
            step.handoff.to,
            reason,
            summary_of(facts),
            due,
            facts.scores,
            explored=explored,
        )
        return await assigning.assign(tx, team, lead, now=now)

    def _change(self, made: Handoff, team: Team | None, at: datetime) -> CrmChange:
        """The task. A team or a salesperson may have left the policy since an earlier attempt."""
        people = team.people if team else ()
        person = next((one for one in people if one.id == made.salesperson), None)
        owner = made.salesperson
        if person is not None:
            owner = (person.crm_owner if self._outside is not None else None) or person.name
        text = f"{made.summary}\n\nYour answer: {self._links.handoff(made.id)}"
        title = made.reason or made.step
        if self._outside is None:  # a task of the built-in CRM has a title only, so the text is a note beside it
            task = CrmTask(title, made.due_at, owner)
            return CrmChange(effect_key=made.effect_key, at=at, note=f"{title}\n\n{text}", task=task)
        return CrmChange(effect_key=made.effect_key, at=at, task=CrmTask(title, made.due_at, owner, text))

    async def _made_outside(self, outside: Crm, begun: Begun, made: Handoff, change: CrmChange) -> HandedOver:
        contact = contact_of(begun)
        person = CrmContact(contact.id, contact.email, contact.phone)
        try:
            written = await outside.apply(person, change, again=attempt() > 1)
        except ProviderError as error:
            if error.fault.verdict is not Verdict.GIVE_UP:
                raise again_later(error.fault) from None
            async with self._db.transaction() as tx:
                return await self._not_made(tx, begun, "failed", str(error.fault))
        async with self._db.transaction() as tx:
            await assigning.set_task(tx, made.effect_key, written.task_key)
            own = Written(written.contact_key, written.at, written.properties, written.task_key)
            pace = begun.run.enrollment.pace
            await _notify(tx, (await policies.current(tx)).policy.sales, made)
            await own_writes.record(tx, contact.id, made.effect_key, own, self._properties, pace=pace)
            await finish(tx, begun, "handoff", "done")
        return HandedOver(outcome="waiting", due=made.due_at)

    async def _not_made(
        self, tx: AsyncConnection, begun: Begun, outcome: Literal["skipped", "failed"], reason: str
    ) -> HandedOver:
        if outcome == "failed":
            await answering.settle(tx, begun.effect_key, "failed")
        await finish(tx, begun, "handoff", outcome, reason)
        return HandedOver(outcome=outcome, reason=reason)


async def _notify(tx: AsyncConnection, sales: Sales, made: Handoff) -> None:
    """Let the salesperson get an email, if the policy says so."""
    if sales.notify is not None:
        await mail_due.schedule(tx, made.effect_key, datetime.now(UTC))


async def _rests(tx: AsyncConnection, sales: Sales, begun: Begun) -> str | None:
    """Until when the lead rests because sales has rejected it, as the reason of the step; None if it does not."""
    if sales.rest_after_rejection is None:
        return None
    clock = begun.run.enrollment.clock
    rest = clock.real_delay(sales.rest_after_rejection)
    at = await assigning.rejected_at(tx, contact_of(begun).id, datetime.now(UTC) - rest)
    return None if at is None else f"{RESTS} until {clock.at(at + rest):%Y-%m-%d %H:%M} UTC"


async def _before(tx: AsyncConnection, call: StepCall, before: EffectResult) -> HandedOver:
    """The result of an effect that an earlier attempt has finished, or of a run that is over."""
    if before.outcome != "done":
        return HandedOver(outcome=before.outcome, reason=before.reason)
    made = await handoffs.of_effect(tx, effect_key(call.enrollment_id, call.step, call.occurrence))
    return HandedOver(outcome="waiting", due=made.due_at) if made else HandedOver(outcome="ended", reason="erased")


def _answer(settled: Handoff | None) -> Literal["accepted", "rejected"] | None:
    """What sales has said, where the handoff is no longer without an answer."""
    if settled is None or settled.status in ("waiting", "expired", "failed"):
        return None
    return "rejected" if settled.status == "rejected" else "accepted"
