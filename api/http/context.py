"""The objects that every handler may use, made once per application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from temporalio.client import Client

from api.feedback.hubspot_signature import HubSpotSignature
from api.feedback.provider_feedback import Report, Reported
from api.feedback.sns_signature import SnsVerifier
from api.feedback.stripe_signature import StripeSignature
from api.http.auth import Keys
from api.http.crm_sessions import CrmSessions
from api.http.metrics import Metrics
from api.http.pagination import Cursors
from settings import Settings
from store.engine.database import Database
from store.engine.group_commit import GroupCommit
from store.runs.enrollments.enrolling import Enrol, Enrolled
from store.runs.events.events import Accepted, Event
from tracks.content.brand import Brand


@dataclass(frozen=True, slots=True)
class Context:
    """The application's parts. `temporal` is None if the API runs without Temporal."""

    settings: Settings
    db: Database
    temporal: Client | None
    metrics: Metrics
    keys: Keys
    events: GroupCommit[Event, Accepted]
    future_events: GroupCommit[Event, Accepted]
    enrolling: GroupCommit[Enrol, Enrolled]
    feedback: GroupCommit[Report, Reported]
    cursors: Cursors
    crm: CrmSessions
    sns: SnsVerifier
    stripe: StripeSignature
    hubspot: HubSpotSignature
    brand: Brand


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]
