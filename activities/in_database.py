"""Effects within the project's own database, as local activities: `set_attributes` and `enroll_contact`.

The effect and the record that it was done are one transaction.
"""

from __future__ import annotations

from temporalio import activity

from activities.content import find_in, message_context
from activities.contract import ENROLL_CONTACT, SET_ATTRIBUTES, EffectResult, StepCall
from activities.errors import without_details
from activities.once import Ended, begin, contact_of, finish
from store import contacts, enrolling
from store.database import Database
from store.enrolling import Enrol
from tracks.content.render import TemplateError, render_values
from tracks.steps import EnrollStep, SetStep


class AttributeActivities:
    """Writes the contact attributes of `set` steps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=SET_ATTRIBUTES)
    @without_details
    async def set_attributes(self, call: StepCall) -> EffectResult:
        """Write the attributes of one step; texts among them are Liquid, null removes one."""
        async with self._db.transaction() as tx:
            begun = await begin(tx, call)
            if isinstance(begun, EffectResult):
                return begun
            contact = contact_of(begun)
            track, step = await find_in(tx, begun.run.enrollment, call.step, SetStep)
            context = message_context(begun.run.enrollment, contact, zone=track.defaults.timezone)
            try:
                values = render_values(step.set.attributes, context)
            except TemplateError as error:
                return await finish(tx, begun, "set", "failed", f"template: {error.code}")
            await contacts.upsert(tx, contact.id, {"attributes": values})
            return await finish(tx, begun, "set", "done")


class EnrollActivities:
    """Enrols contacts into other tracks for `enroll` steps."""

    def __init__(self, db: Database) -> None:
        self._db = db

    @activity.defn(name=ENROLL_CONTACT)
    @without_details
    async def enroll_contact(self, call: StepCall) -> EffectResult:
        """Enrol the contact as the step says; the other track's re-entry rule may skip it.

        The new run lives at the same pace. One of the same contact that is there already counts as done.
        """
        async with self._db.transaction() as tx:
            begun = await begin(tx, call)
            if isinstance(begun, EffectResult):
                return begun
            contact, enrollment = contact_of(begun), begun.run.enrollment
            track, step = await find_in(tx, enrollment, call.step, EnrollStep)
            context = message_context(enrollment, contact, zone=track.defaults.timezone)
            try:
                properties = render_values(step.enroll.properties, context)
            except TemplateError as error:
                return await finish(tx, begun, "enroll", "failed", f"template: {error.code}")
            wish = Enrol(step.enroll.track, contact.id, properties=properties, pace=enrollment.pace)
            enrolled = await enrolling.enroll(tx, wish)
            if enrolled.outcome == "refused":
                outcome: Ended = "skipped" if enrolled.refusal == "reentry" else "failed"
                return await finish(tx, begun, "enroll", outcome, enrolled.refusal or "")
            return await finish(tx, begun, "enroll", "done", enrolled.outcome)
