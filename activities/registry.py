"""All activities, connected to the providers that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from activities import contract
from activities.channels.email import EmailActivities, EmailKind
from activities.channels.reconcile import Reconciler
from activities.channels.sales_mail import SalesMails
from activities.channels.sms import SmsActivities, SmsKind
from activities.effects.attributes_and_enrollments import AttributeActivities, EnrollActivities
from activities.effects.crm_and_webhooks import CrmActivities, WebhookActivities
from activities.effects.handoffs import HandoffActivities
from activities.imports.import_chunks import ImportActivities
from activities.imports.queue_backlog import busy_here
from activities.providers.ports import Crm, EmailProvider, SmsProvider, WebhookCaller
from activities.providers.ses import SesEmail
from activities.providers.twilio import TwilioSms
from activities.providers.webhook_addresses import Receivers
from activities.providers.webhooks import SignedWebhooks
from activities.runs.closing import ClosingActivities
from activities.runs.conditions import ConditionActivities
from activities.runs.decisions import BranchActivities, WaitActivities
from activities.runs.progress import ProgressActivities
from activities.sending.direct_send import AT_ONCE, DirectSend
from activities.shared.step_content import Links
from settings import SENDING, Settings
from store.engine.database import Database
from store.people.hubspot.hubspot_change import Properties
from tracks.content.brand import Brand

log = structlog.get_logger(__name__)
Method = Callable[..., Awaitable[Any]]


@dataclass(frozen=True)
class Providers:
    """The providers; without a CRM the built-in one is used."""

    email: EmailProvider
    sms: SmsProvider
    webhooks: WebhookCaller
    crm: Crm | None = None


@dataclass(frozen=True)
class Activities:
    """The activity methods for the workers."""

    local: Sequence[Method]
    """For the worker of the runs' task queue."""
    by_queue: Mapping[str, Sequence[Method]]
    """For one worker per provider queue."""
    imports: Sequence[Method]
    """For the worker of imports, with their workflow."""
    direct_sends: Mapping[str, DirectSend]
    """The direct senders of the channels, by queue."""
    providers: Providers
    sales_mails: SalesMails
    """Sends emails to salespeople while it is open."""
    reconcile: Reconciler
    """For asking about a message's outcome from outside of its run."""

    async def close(self) -> None:
        """Let running calls end, then close connections and threads."""
        await asyncio.gather(*(direct.close() for direct in self.direct_sends.values()))
        for provider in (self.providers.email, self.providers.sms, self.providers.webhooks, self.providers.crm):
            if provider is not None:
                await provider.close()


def build_activities(settings: Settings, db: Database, providers: Providers | None = None) -> Activities:
    """Create the activities; call it inside a running event loop.

    Raises ValueError with all settings for sending that are missing or not allowed in production.
    """
    settings.require(*SENDING)
    providers = providers or build_providers(settings)
    properties = Properties.written(settings.hubspot_attributes, settings.hubspot_id_property)
    links, brand = Links(settings.link_base, settings.signing_secret), Brand(**settings.sender)
    email, sms = EmailKind(providers.email, links, brand), SmsKind(providers.sms, links, brand)
    importing = ImportActivities(db, busy_here)
    reconciler = Reconciler(db, providers.sms, sms)
    reconcile = reconciler.reconcile_message
    at_once = min(AT_ONCE, settings.concurrent_sends)
    direct_sends = {contract.QUEUE_EMAIL: DirectSend(at_once), contract.QUEUE_SMS: DirectSend(at_once)}
    emails = EmailActivities(db, email, direct_sends[contract.QUEUE_EMAIL])
    texts = SmsActivities(db, sms, direct_sends[contract.QUEUE_SMS])
    progress = ProgressActivities(db)
    handoffs = HandoffActivities(db, providers.crm, links, properties)
    return Activities(
        local=[
            WaitActivities(db).resolve_wait,
            ConditionActivities(db).await_condition,
            BranchActivities(db).decide_branch,
            AttributeActivities(db).set_attributes,
            EnrollActivities(db).enroll_contact,
            ClosingActivities(db).close_run,
            progress.report_path,
            progress.count_undelivered,
            handoffs.settle_handoff,
            emails.send_email_now,
            texts.send_sms_now,
        ],
        by_queue={
            contract.QUEUE_EMAIL: [emails.send_email, reconcile],
            contract.QUEUE_SMS: [texts.send_sms, reconcile],
            contract.QUEUE_CRM: [CrmActivities(db, providers.crm, properties).update_crm, handoffs.hand_over],
            contract.QUEUE_WEBHOOK: [WebhookActivities(db, providers.webhooks).call_webhook],
        },
        imports=[importing.apply_chunk, importing.steer_import],
        direct_sends=direct_sends,
        providers=providers,
        sales_mails=SalesMails(db, providers.email, links, direct_sends[contract.QUEUE_EMAIL]),
        reconcile=reconciler,
    )


def build_providers(settings: Settings) -> Providers:
    """Create the real providers; call it inside a running event loop."""
    timeout, threads = settings.provider_timeout, settings.concurrent_sends
    public_only = settings.environment == "production"
    if public_only and not settings.webhook_hosts:
        log.info("webhook steps reach the public internet only", setting="PERENNIAL_WEBHOOK_HOSTS")
    if public_only and not settings.hash_secret:
        log.warning("anyone who reads the tables can guess the hashed addresses", setting="PERENNIAL_ADDRESS_SECRET")
    crm: Crm | None = None
    if settings.crm == "hubspot":
        from activities.providers.hubspot import HubSpotCrm  # its SDK takes 0.4 s to import, and few users need it

        crm = HubSpotCrm(
            token=settings.hubspot_token.get_secret_value(),
            base_url=settings.hubspot_base_url,
            timeout=timeout,
            threads=threads,
        )
    return Providers(
        email=SesEmail(
            region=settings.aws_region,
            configuration_set=settings.ses_configuration_set,
            endpoint_url=settings.ses_endpoint_url,
            timeout=timeout,
            threads=threads,
        ),
        sms=TwilioSms(
            account_sid=settings.twilio_account_sid,
            auth_token=settings.twilio_auth_token.get_secret_value(),
            callback_base=settings.public_url,
            base_url=settings.twilio_base_url,
            messaging_service_sid=settings.twilio_messaging_service_sid,
            timeout=timeout,
            threads=threads,
        ),
        webhooks=SignedWebhooks(
            secret=settings.webhook_secret.get_secret_value(),
            timeout=timeout,
            connections=threads,
            receivers=Receivers(settings.webhook_hosts, public_only=public_only),
            proxy=settings.webhook_proxy,
        ),
        crm=crm,
    )
