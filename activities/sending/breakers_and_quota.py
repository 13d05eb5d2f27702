"""Jobs of the workers beside their activities: breakers, SES's quota, deleting texts that were kept for a time, and
what Stripe and HubSpot said of people who are no contacts yet.

Every worker may run them; only one at a time does a job.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client

from activities import contract
from activities.providers.ports import Crm, EmailProvider
from activities.providers.provider_errors import ProviderError
from activities.sending import hubspot_job, ses_quota
from settings import Settings
from store.engine.background import periodic_jobs
from store.engine.background.background_tasks import BackgroundTask
from store.engine.database import Database
from store.engine.sql import utc_now
from store.people.hubspot import objects
from store.people.hubspot.hubspot_change import Properties
from store.people.stripe import applying, customers
from store.published import policies
from store.sending.feedback import reputation
from store.sending.messages import message_content
from store.sending.policy import breakers

TICK = 1.0
"""Seconds between two checks of what is due."""
BREAKERS, QUOTA, RENDERINGS, STRIPE, HUBSPOT = "breakers", "ses-quota", "renderings", "stripe", "hubspot"
CLEAR_EVERY = timedelta(minutes=10)
"""How late, at most, a message's text is deleted after the time for which the policy keeps it."""
STRIPE_EVERY = timedelta(seconds=15)
"""How soon, at most, Stripe's waiting events are told after their contact appears, while there are few; HubSpot's too.
"""

log = structlog.get_logger(__name__)


class Watch(BackgroundTask):
    """Does these jobs while it is open."""

    def __init__(
        self, database: Database, email: EmailProvider, client: Client, settings: Settings, crm: Crm | None = None
    ) -> None:
        """`crm` is HubSpot, if it is the CRM."""
        self._database = database
        self._crm = crm
        self._hubspot = Properties.written(settings.hubspot_attributes, settings.hubspot_id_property)
        self._email = email
        self._client = client
        self._rate_is_ours = contract.QUEUE_EMAIL not in settings.queue_rates
        self._quota_works = True
        self._entry_pace = settings.pace_at_entry

    async def _run(self) -> None:
        while True:
            for look in await self._due():
                try:
                    await look()
                except Exception as error:  # such as a database that is down; the next check is a second later
                    log.warning("watch failed", look=look.__name__, error=type(error).__name__)
            await asyncio.sleep(TICK)

    async def _due(self) -> Sequence[Callable[[], Awaitable[None]]]:
        looks = (
            self.look_at_breakers,
            self.look_at_quota,
            self.clear_renderings,
            self.settle_stripe_customers,
            self.settle_hubspot_contacts,
        )
        jobs = (BREAKERS, QUOTA, RENDERINGS, STRIPE, HUBSPOT)
        try:
            async with self._database.transaction() as tx:
                return looks if await periodic_jobs.any_due(tx, jobs, utc_now()) else ()
        except Exception as error:
            log.warning("watch failed", look="due", error=type(error).__name__)
            return ()

    async def look_at_breakers(self) -> None:
        """Open the breaker of each scope that does harm, and update the open breakers."""
        now, began = utc_now(), time.monotonic()
        async with self._database.transaction() as tx:
            if not await periodic_jobs.due(tx, BREAKERS, now):
                return
            limits = (await policies.current(tx)).policy.breaker
            opened = await reputation.check(tx, limits, now)
            took = timedelta(seconds=time.monotonic() - began)
            await periodic_jobs.again(tx, BREAKERS, now + reputation.rest_after(took))
        for found, cause in opened:
            log.error("breaker opened", scope=found.scope, cause=cause, **found.figures(limits))
        async with self._database.transaction() as tx:
            changed = await breakers.tend(tx, per_second=limits.per_second, now=utc_now())
        for breaker in changed:
            log.warning(f"breaker {breaker.state}", scope=breaker.scope, cause=breaker.cause)

    async def clear_renderings(self) -> None:
        """Delete the texts of messages past their time."""
        now = utc_now()
        async with self._database.transaction() as tx:
            if await periodic_jobs.due(tx, RENDERINGS, now):
                more = await message_content.forget(tx, now) >= message_content.AT_ONCE
                await periodic_jobs.again(tx, RENDERINGS, now if more else now + CLEAR_EVERY)

    async def settle_stripe_customers(self) -> None:
        """Tell the waiting events of customers whose contacts exist by now, and give up what waited too long."""
        now, began, found = utc_now(), time.monotonic(), list[str]()
        async with self._database.transaction() as tx:
            if not await periodic_jobs.due(tx, STRIPE, now):
                return
            if await customers.any_unmatched(tx):
                await applying.give_up(tx, now)
                found.extend(await customers.matched_by_now(tx, applying.AT_ONCE))
            took = timedelta(seconds=time.monotonic() - began)
            await periodic_jobs.again(tx, STRIPE, now + max(STRIPE_EVERY, reputation.rest_after(took)))
        for customer_id in found:
            try:
                async with self._database.transaction() as tx:
                    await applying.settle(tx, customer_id, pace=self._entry_pace)
            except Exception as error:  # the next customer must not wait for this one
                log.warning("a customer of Stripe was not settled", error=type(error).__name__)

    async def settle_hubspot_contacts(self) -> None:
        """Apply what waits for contacts who exist by now, and ask HubSpot who the others are."""
        now, began = utc_now(), time.monotonic()
        async with self._database.transaction() as tx:
            if not await periodic_jobs.due(tx, HUBSPOT, now):
                return
            await periodic_jobs.again(tx, HUBSPOT, now + STRIPE_EVERY)
            waiting = await objects.any_waiting(tx)
        if not waiting:
            return
        if self._crm is not None:
            await hubspot_job.ask_who(self._database, self._crm, self._hubspot, self._entry_pace)
        await hubspot_job.settle(self._database, self._hubspot, self._entry_pace)
        took = timedelta(seconds=time.monotonic() - began)
        async with self._database.transaction() as tx:
            await periodic_jobs.again(tx, HUBSPOT, now + max(STRIPE_EVERY, reputation.rest_after(took)))

    async def look_at_quota(self) -> None:
        """Ask SES for the account's quota, and keep within it."""
        async with self._database.transaction() as tx:
            if not await periodic_jobs.due(tx, QUOTA, utc_now()):
                return
            await periodic_jobs.again(tx, QUOTA, utc_now() + ses_quota.LATEST)
        try:
            found = await self._email.quota()
        except ProviderError as error:
            if self._quota_works:
                log.warning("SES quota not read", fault=str(error.fault))
            self._quota_works = False
            return
        self._quota_works = True
        async with self._database.transaction() as tx:
            await ses_quota.hold_or_resume(tx, found, utc_now())
            await periodic_jobs.again(tx, QUOTA, utc_now() + ses_quota.next_look(found))
        if self._rate_is_ours:
            await ses_quota.limit_queue(self._client, found)
