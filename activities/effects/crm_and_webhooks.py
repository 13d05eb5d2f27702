"""Effects outside, other than messages: `update_crm` and `call_webhook`. Each happens once per effect key."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection
from temporalio import activity

from activities.contract import CALL_WEBHOOK, UPDATE_CRM, EffectResult, StepCall
from activities.providers import builtin_crm
from activities.providers.ports import Crm, CrmChange, CrmContact, CrmTask, CrmWritten, WebhookCall, WebhookCaller
from activities.providers.provider_errors import ProviderError, Verdict
from activities.shared.idempotency import attempt, begin, contact_of, finish, scheduled_at
from activities.shared.matched_event import effect_context
from activities.shared.step_content import find_in
from activities.shared.temporal_errors import again_later, without_details
from store.engine.database import Database
from store.people.hubspot import own_writes
from store.people.hubspot.hubspot_change import Properties
from store.people.hubspot.own_writes import Written
from store.runs.effect_records import Begun
from store.schema.rows import Contact
from tracks.content.rendering.liquid_rendering import render_text, render_values
from tracks.content.rendering.template_error import TemplateError
from tracks.model.steps.simple_steps import CrmStep, WebhookStep
from tracks.time.durations import format_duration

_Done = TypeVar("_Done")


class CrmActivities:
    """The activity of `crm` steps: writes to the outside CRM, or to the project's own tables if there is none."""

    def __init__(self, db: Database, outside: Crm | None, properties: Properties) -> None:
        """`properties` say which of the outside CRM's properties become attributes."""
        self._db = db
        self._outside = outside
        self._properties = properties

    @activity.defn(name=UPDATE_CRM)
    @without_details
    async def update_crm(self, call: StepCall) -> EffectResult:
        """Write stage, fields, note and task of one step.

        Raises ApplicationError if the CRM cannot be reached now. A repeated attempt creates no second note or task.
        """
        async with self._db.transaction() as tx:
            begun = await begin(tx, call)
            if isinstance(begun, EffectResult):
                return begun
            contact = contact_of(begun)
            try:
                change = await self._change(tx, call, begun, contact)
            except TemplateError as error:
                return await finish(tx, begun, "crm", "failed", f"template: {error.code}")
            if self._outside is None:
                await builtin_crm.apply(tx, contact.id, change, pace=begun.run.enrollment.pace)
                return await finish(tx, begun, "crm", "done")
        outside, person = self._outside, CrmContact(contact.id, contact.email, contact.phone)
        again = attempt() > 1

        async def note(tx: AsyncConnection, done: CrmWritten) -> None:
            written = Written(done.contact_key, done.at, done.properties, done.task_key)
            pace = begun.run.enrollment.pace
            await own_writes.record(tx, contact.id, begun.effect_key, written, self._properties, pace=pace)

        return await _outside(self._db, begun, "crm", lambda: outside.apply(person, change, again=again), note=note)

    async def _change(self, tx: AsyncConnection, call: StepCall, begun: Begun, contact: Contact) -> CrmChange:
        enrollment = begun.run.enrollment
        track, step = await find_in(tx, enrollment, call.step, CrmStep)
        context = await effect_context(tx, enrollment, contact, track, call)
        crm, at = step.crm, scheduled_at()
        task = None
        if crm.task is not None:
            due = (call.due or at) + call.clock.real_delay(crm.task.due) if crm.task.due is not None else None
            task = CrmTask(render_text(crm.task.title, context), due, crm.task.owner)
        return CrmChange(
            effect_key=begun.effect_key,
            at=at,
            stage=crm.stage,
            fields=render_values(crm.fields, context),
            note=None if crm.note is None else render_text(crm.note, context),
            task=task,
        )


class WebhookActivities:
    """The activity of `webhook` steps."""

    def __init__(self, db: Database, caller: WebhookCaller) -> None:
        self._db = db
        self._caller = caller

    @activity.defn(name=CALL_WEBHOOK)
    @without_details
    async def call_webhook(self, call: StepCall) -> EffectResult:
        """Deliver the signed call of one step, at least once, always with the same `webhook-id`.

        Raises ApplicationError if the receiver neither accepted nor refused it.
        """
        async with self._db.transaction() as tx:
            begun = await begin(tx, call)
            if isinstance(begun, EffectResult):
                return begun
            try:
                webhook, patience = await self._written(tx, call, begun, contact_of(begun))
            except TemplateError as error:
                return await finish(tx, begun, "webhook", "failed", f"template: {error.code}")
        return await _outside(self._db, begun, "webhook", lambda: self._caller.call(webhook), patience)

    async def _written(
        self, tx: AsyncConnection, call: StepCall, begun: Begun, contact: Contact
    ) -> tuple[WebhookCall, timedelta | None]:
        """The call, and how long it is retried."""
        enrollment = begun.run.enrollment
        track, step = await find_in(tx, enrollment, call.step, WebhookStep)
        context = await effect_context(tx, enrollment, contact, track, call)
        payload = render_values(step.webhook.payload, context)
        data: dict[str, Any] = {
            "contact_id": contact.id,
            "enrollment_id": enrollment.id,
            "track": enrollment.track,
            "version": enrollment.version,
            "step": call.step,
            "payload": payload,
        }
        body = {"type": "track.webhook", "timestamp": scheduled_at().isoformat(), "data": data}
        webhook = WebhookCall(webhook_id=begun.effect_key, url=step.webhook.url, body=body)
        return webhook, step.webhook.give_up_after


async def _outside(
    db: Database,
    begun: Begun,
    kind: Literal["crm", "webhook"],
    act: Callable[[], Awaitable[_Done]],
    patience: timedelta | None = None,
    *,
    note: Callable[[AsyncConnection, _Done], Awaitable[None]] | None = None,
) -> EffectResult:
    """Act outside of any transaction, then record how it ended. An attempt with an unknown outcome is repeated, until
    the step's `patience` (real time since the activity was scheduled) is over.

    `note` gets what was done, in the transaction that records it."""
    outcome: Literal["done", "failed"] = "done"
    reason = ""
    done: _Done | None = None
    try:
        done = await act()
    except ProviderError as error:
        outcome, reason = "failed", str(error.fault)
        if error.fault.verdict is not Verdict.GIVE_UP:
            if patience is None or datetime.now(UTC) - scheduled_at() < patience:
                raise again_later(error.fault) from None
            reason += f" for {format_duration(patience)}"
    async with db.transaction() as tx:
        if note is not None and done is not None:
            await note(tx, done)
        return await finish(tx, begun, kind, outcome, reason)
