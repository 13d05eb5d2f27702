"""Apply HubSpot's changes that wait for their contacts, and ask HubSpot who somebody is whom nothing else tells."""

from __future__ import annotations

import structlog

from activities.providers.ports import Crm
from activities.providers.provider_errors import ProviderError
from store.engine.database import Database
from store.engine.sql import utc_now
from store.people.hubspot import applying, objects
from store.people.hubspot.hubspot_change import Change, Moment, Properties
from store.people.merging import hubspot_merges as merges

log = structlog.get_logger(__name__)


async def settle(database: Database, properties: Properties, pace: float) -> None:
    """Give up what waited too long, and apply what is kept of everybody who is a contact by now; also merges."""
    async with database.transaction() as tx:
        await applying.give_up(tx, utc_now())
        await merges.give_up(tx, utc_now())
        found = await objects.matched_by_now(tx, applying.AT_ONCE)
    for object_id in found:
        try:
            async with database.transaction() as tx:
                await applying.settle(tx, object_id, properties, pace=pace)
        except Exception as error:  # the next contact must not wait for this one
            log.warning("a contact of HubSpot was not settled", error=type(error).__name__)
    async with database.transaction() as tx:
        merged = await merges.due(tx, utc_now(), applying.AT_ONCE)
    for object_id in merged:
        try:
            async with database.transaction() as tx:
                await merges.carry_out(tx, object_id, properties, pace=pace)
        except Exception as error:
            log.warning("a merge of HubSpot was not carried out", error=type(error).__name__)


async def ask_who(database: Database, crm: Crm, properties: Properties, pace: float) -> None:
    """Ask HubSpot for the address and the id of those of whom neither is known, once for each.

    If HubSpot does not answer, they are asked for again with the next run.
    """
    async with database.transaction() as tx:
        unknown = list(await objects.to_ask_for(tx, utc_now(), applying.AT_ONCE))
    if not unknown:
        return
    names = [name for name in (objects.EMAIL, properties.id_property) if name]
    try:
        people = await crm.read(unknown, names)
    except ProviderError as error:
        log.warning("HubSpot was not asked who its contacts are", fault=str(error.fault))
        async with database.transaction() as tx:
            await objects.ask_again(tx, unknown)
        return
    for person in people:
        said = [
            Change(Moment(person.at, f"asked:{name}"), person.contact_key, name, value)
            for name, value in person.properties.items()
            if value
        ]
        if said:
            async with database.transaction() as tx:
                await applying.apply(tx, person.contact_key, said, properties, pace=pace)
