"""The sandbox as one ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from infra.sandbox.amazon.ses import Ses
from infra.sandbox.amazon.ses_account import SesAccount
from infra.sandbox.amazon.ses_events import SesEvents
from infra.sandbox.amazon.sns import Sns
from infra.sandbox.amazon.tracking import Tracking
from infra.sandbox.control import Control
from infra.sandbox.core.callbacks import Callbacks
from infra.sandbox.core.faults import Faults
from infra.sandbox.core.journal import Journal
from infra.sandbox.core.mailbox import Mailbox
from infra.sandbox.core.options import Options
from infra.sandbox.hubspot.objects import HubSpotStore
from infra.sandbox.hubspot.objects_api import HubSpot
from infra.sandbox.hubspot.webhooks import HubSpotWebhooks
from infra.sandbox.recipients.actions import Actions
from infra.sandbox.recipients.inbox import Inbox
from infra.sandbox.stripe.webhooks import StripeEvents
from infra.sandbox.twilio.callbacks import TwilioCallbacks
from infra.sandbox.twilio.messages_api import Twilio
from infra.sandbox.webhook_sink import WebhookSink


def create_app(options: Options) -> Starlette:
    """Connect the parts, replay the journal, and make the application.

    Raises JournalInUse if another sandbox uses the same data directory.
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
    sales = HubSpotWebhooks(options, crm, callbacks)
    billing = StripeEvents(options, book, callbacks)
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

    providers = (ses, sns, twilio, HubSpot(crm, faults), sales, billing, WebhookSink(mailbox, faults))
    routes: list[BaseRoute] = [route for part in (*providers, control) for route in part.routes()]
    routes += [*Tracking(mailbox, events).routes(), *Inbox(mailbox, actions).routes()]
    return Starlette(routes=routes, lifespan=lifespan)
