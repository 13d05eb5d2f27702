"""Effects inside the project's own database, as local activities: `set_attributes` and `enroll_contact`.

The effect and its record are one transaction.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import ENROLL_CONTACT, SET_ATTRIBUTES, EffectResult, StepCall
from activities.shared.idempotency import Ended, begin, contact_of, finish
from activities.shared.matched_event import effect_context
from activities.shared.step_content import find_in
from activities.shared.temporal_errors import without_details
from store.engine.database import Database
from store.engine.sql import utc_now
from store.people import contacts
from store.published import policies, tracks
from store.runs import drop_counts, run_changes
from store.runs.drop_counts import Drop
from store.runs.enrollments import enrollments
from store.runs.enrollments.enrolling import Enrol
from store.schema.rows import Contact
from tracks.content.rendering.liquid_rendering import render_values
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.template_error import TemplateError
from tracks.model.steps.effects import Changes
from tracks.model.steps.simple_steps import EnrollStep, SetStep
from tracks.policy.workspace_policy import ENROLL_MOST
from tracks.shared.numbers import add, number_of


class AttributeActivities:
    """The activity of `set` steps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=SET_ATTRIBUTES)
    @without_details
    async def set_attributes(self, call: StepCall) -> EffectResult:
        """Write the attributes of one step. Texts are Liquid; null removes an attribute.

        `add` adds to the contact's present value; the contact is locked until this transaction ends.
        """
        async with self._db.transaction() as tx:
            begun = await begin(tx, call)
            if isinstance(begun, EffectResult):
                return begun
            contact = contact_of(begun)
            track, step = await find_in(tx, begun.run.enrollment, call.step, SetStep)
            context = await effect_context(tx, begun.run.enrollment, contact, track, call)
            try:
                values = _written(step.set, contact, context)
            except TemplateError as error:
                return await finish(tx, begun, "set", "failed", f"template: {error.code}")
            except NoNumberError as error:
                return await finish(tx, begun, "set", "failed", str(error))
            await contacts.upsert(tx, contact.id, {"attributes": values}, pace=begun.run.enrollment.pace)
            return await finish(tx, begun, "set", "done")


class NoNumberError(Exception):
    """An attribute, or the value for it, is no number. The text names the attribute, but not its value."""


def _written(changes: Changes, contact: Contact, context: MessageContext) -> dict[str, Any]:
    """The attributes that a step writes. Raises TemplateError and NoNumberError."""
    attributes = contact.attributes or {}
    values: dict[str, Any] = render_values(changes.attributes, context)
    for name, amount in (changes.add | changes.numbers).items():
        try:
            number = number_of(render_values(amount, context))
            values[name] = add(attributes.get(name), number) if name in changes.add else number
        except ValueError as error:
            raise NoNumberError(f"{name}: {error}") from None
    return values


class EnrollActivities:
    """The activity of `enroll` steps: enrols contacts into other tracks."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=ENROLL_CONTACT)
    @without_details
    async def enroll_contact(self, call: StepCall) -> EffectResult:
        """Enrol the contact into the step's track; the other track's re-entry rule may skip it.

        The new run has the same pace. If the contact is enrolled there already, the effect counts as done.
        """
        async with self._db.transaction() as tx:
            begun = await begin(tx, call)
            if isinstance(begun, EffectResult):
                return begun
            contact, enrollment = contact_of(begun), begun.run.enrollment
            track, step = await find_in(tx, enrollment, call.step, EnrollStep)
            context = await effect_context(tx, enrollment, contact, track, call)
            try:
                properties = render_values(step.enroll.properties, context)
            except TemplateError as error:
                return await finish(tx, begun, "enroll", "failed", f"template: {error.code}")
            if await _too_soon(tx, contact.id, step.enroll.track, enrollment.pace):
                drop_counts.count(tx, [Drop(drop_counts.TOO_SOON, "entry", step.enroll.track)])
                return await finish(tx, begun, "enroll", "skipped", drop_counts.TOO_SOON)
            wish = Enrol(step.enroll.track, contact.id, properties=properties, pace=enrollment.pace)
            enrolled = await run_changes.enroll(tx, wish)
            if enrolled.outcome == "refused":
                outcome: Ended = "skipped" if enrolled.refusal == "reentry" else "failed"
                return await finish(tx, begun, "enroll", outcome, enrolled.refusal or "")
            return await finish(tx, begun, "enroll", "done", enrolled.outcome)


async def _too_soon(tx: AsyncConnection, contact_id: str, track: str, pace: float) -> bool:
    """Whether the contact has only recently been in a track that may be entered again.

    Tracks that enrol into each other could go round without end. This limit covers what publishing cannot see: a
    condition, a key made of data, an event sent by a webhook's receiver. In a track with one run per object, several
    enrollments at the same time are normal, so their number is limited instead.
    """
    newest = await tracks.get(tx, track)
    if newest is None or newest.rules.reentry.kind == "never":
        return False
    rule, apart = newest.rules.reentry, (await policies.current(tx)).policy.enroll_apart
    if rule.kind == "after" and rule.seconds >= apart.total_seconds():
        return False
    entered, ended = await enrollments.entered_since(tx, contact_id, track, utc_now() - apart / pace)
    return entered >= ENROLL_MOST if rule.kind == "per" else entered == ended > 0  # a live enrollment there stays
