"""What every handler may use, made once per application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from temporalio.client import Client

from api.auth import Keys
from api.metrics import Metrics
from api.pagination import Cursors
from api.webhooks.feedback import Report, Reported
from api.webhooks.sns_signature import SnsVerifier
from settings import Settings
from store.database import Database
from store.enrolling import Enrol, Enrolled
from store.events import Accepted, Event
from store.intake import Intake


@dataclass(frozen=True, slots=True)
class Context:
    """The application's parts. `temporal` is None where the API runs without Temporal."""

    settings: Settings
    db: Database
    temporal: Client | None
    metrics: Metrics
    keys: Keys
    events: Intake[Event, Accepted]
    enrolling: Intake[Enrol, Enrolled]
    feedback: Intake[Report, Reported]
    cursors: Cursors
    sns: SnsVerifier


async def _context(request: Request) -> Context:
    context: Context = request.app.state.context
    return context


Ctx = Annotated[Context, Depends(_context)]
