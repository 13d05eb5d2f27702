"""The sandbox as one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from infra.sandbox.actions import Actions
from infra.sandbox.callbacks import Callbacks
from infra.sandbox.control import Control
from infra.sandbox.faults import Faults
from infra.sandbox.hubspot import HubSpot
from infra.sandbox.hubspot_store import HubSpotStore
from infra.sandbox.inbox import Inbox
from infra.sandbox.journal import Journal
from infra.sandbox.mailbox import Mailbox
from infra.sandbox.options import Options
from infra.sandbox.ses import Ses
from infra.sandbox.ses_account import SesAccount
from infra.sandbox.ses_events import SesEvents
from infra.sandbox.sns import Sns
from infra.sandbox.tracking import Tracking
from infra.sandbox.twilio import Twilio
from infra.sandbox.twilio_callbacks import TwilioCallbacks
from infra.sandbox.webhook_sink import WebhookSink


def create_app(options: Options) -> Starlette:
    """Wire the parts, remember what the journal holds, and serve.

    Raises JournalInUse when another sandbox has the same data directory.
    """
    book = Journal(options.data / "journal.jsonl")
    faults = Faults()
    mailbox = Mailbox(book)
    callbacks = Callbacks(book, faults)
    sns = Sns(options, book, callbacks)
    account = SesAccount(options, book, sns)
    events = SesEvents(mailbox, account, sns, callbacks)
    ses = Ses(mailbox, account, events, faults, options.delivery_delay)
    texts = TwilioCallbacks(options, book, mailbox, callbacks)
    twilio = Twilio(mailbox, texts, faults, options.twilio_auth_token, options.delivery_delay)
    crm = HubSpotStore(book)
    actions = Actions(mailbox, events, texts, options.callback_base)
    control = Control(book, mailbox, account, callbacks, faults, actions, crm, options.base_url)
    book.replay()
    account.subscribe_topics()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        delivery = asyncio.create_task(callbacks.run())
        try:
            yield
        finally:
            delivery.cancel()
            await asyncio.gather(delivery, return_exceptions=True)
            actions.close()
            book.close()

    providers = (ses, sns, twilio, HubSpot(crm, faults), WebhookSink(mailbox, faults))
    routes: list[BaseRoute] = [route for part in (*providers, control) for route in part.routes()]
    routes += [*Tracking(mailbox, events).routes(), *Inbox(mailbox, actions).routes()]
    return Starlette(routes=routes, lifespan=lifespan)
