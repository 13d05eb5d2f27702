"""The API application. `create_app` gets its parts as arguments: it starts no server and reads no environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, partial
from ssl import SSLContext

import httpx
from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.routing import APIRoute
from temporalio.client import Client

import store.runs.events.events
import store.runs.run_changes
from api.crm import routes as crm_pages
from api.feedback.hubspot_signature import HubSpotSignature
from api.feedback.provider_feedback import take as take_reports
from api.feedback.sns_signature import SnsVerifier
from api.feedback.stripe_signature import StripeSignature
from api.health import api_health
from api.http import problems
from api.http.auth import Keys
from api.http.context import Context
from api.http.crm_sessions import CrmSessions
from api.http.metrics import MeasureRequests, Metrics
from api.http.overload import Admission, RefuseOverload
from api.http.pagination import Cursors
from api.http.security_headers import ProtectAnswers
from api.openapi import docs_page, document
from api.preferences import confirmation
from api.preferences import routes as preferences
from api.resources import (
    breakers,
    consents,
    contact_batches,
    contact_history,
    contacts,
    enrolling,
    enrollments,
    events,
    merges,
    messages,
    run_commands,
    suppressions,
)
from api.resources.audience import entry_previews, segment_members, segment_previews, segment_webhooks
from api.resources.audience.scores import score_lists, score_previews, score_values
from api.resources.crm import contact_crm, crm_sign_ins, crm_tasks
from api.resources.handoffs import answer_page, handoffs, score_quality
from api.resources.imports import imports
from api.resources.publishing import deploys, policy, previews, scores, segments, templates, tracks
from api.resources.segment_api import segment
from api.tracking import routes as tracking
from api.webhooks import hubspot, ses, stripe, twilio
from settings import RECEIVING, Settings
from store.engine.database import Database
from store.engine.group_commit import GroupCommit
from tracks.content.brand import Brand

TOGETHER = 0.1
"""Seconds that a provider's callback waits so that several share one transaction. Providers accept a late answer."""
_DESCRIPTION = """
Enrol contacts into nurture tracks and report what they do.

* **Keys.** Send `Authorization: Bearer <API key>`; `perennial key create NAME` makes one.
* **Nothing accepted is lost.** Enrollments and events are stored before the API answers. While Temporal is down,
  they are delivered later.
* **Problems** (RFC 9457) name all errors of a request at once, with JSON pointers.
* **Pages.** For the next page, send `next` as `cursor` with the same parameters.
"""
_TAGS = [
    {"name": "contacts", "description": "Who the tracks write to."},
    {"name": "suppressions", "description": "Addresses that are not written to."},
    {"name": "events", "description": "What contacts did."},
    {"name": "enrollments", "description": "Where each contact is on each track."},
    {"name": "messages", "description": "What was sent, and its outcome."},
    {"name": "handoffs", "description": "Leads that sales was asked to take over, and its answers."},
    {"name": "crm", "description": "The built-in CRM: tasks, notes and stages for salespeople."},
    {"name": "imports", "description": "Files of contacts, enrolled at a pace."},
    {"name": "tracks", "description": "Written plans of messages, waits and branches."},
    {"name": "templates", "description": "The texts of messages."},
    {"name": "segments", "description": "Who contacts are: groups that change by themselves."},
    {"name": "scores", "description": "How ready contacts are to buy: points that wear off, and grades."},
    {"name": "deploys", "description": "Policy, templates, segments, scores and tracks published together."},
    {"name": "policy", "description": "What protects contacts from all tracks together."},
    {"name": "callbacks", "description": "For providers and mail programs; signed, no key."},
    {"name": "crm pages", "description": "For salespeople: HTML, after signing in by a link."},
    {"name": "operating", "description": "For the orchestrator and Prometheus."},
]


def create_app(
    settings: Settings, db: Database, temporal: Client | None = None, *, cors_origins: tuple[str, ...] = ()
) -> FastAPI:
    """Make the API over a database and an optional Temporal client. Only calls about live runs use the client.

    The caller closes `db`. Browsers on other origins are refused unless `cors_origins` names the origin.
    Raises ValueError if production must not run with these settings: missing secrets, a public address without https,
    SNS topics that are not limited, or a secret of Stripe without its library. The text names every problem.
    """
    settings.require(*RECEIVING)
    secure = settings.link_base.startswith("https://")
    # Amazon may be behind the environment's proxy. A sandbox on this machine never is.
    outgoing = httpx.AsyncClient(
        timeout=5.0, verify=_certificates(), mounts={"all://127.0.0.1": None, "all://localhost": None}
    )
    metrics = Metrics()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with outgoing:
            yield

    app = FastAPI(
        title="Perennial",
        version="1",
        summary="Lead-nurture tracks as durable workflows",
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=lifespan,
        openapi_url=None,  # `document` and `docs_page` serve them
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,  # the redirect would use the host that the caller names
        generate_unique_id_function=lambda route: route.name,
    )
    context = app.state.context = Context(
        settings=settings,
        db=db,
        temporal=temporal,
        metrics=metrics,
        keys=Keys(db),
        events=GroupCommit(db, partial(store.runs.events.events.accept_many, pace=settings.pace_at_entry)),
        future_events=GroupCommit(db, store.runs.events.future_events.keep),
        enrolling=GroupCommit(db, store.runs.run_changes.enroll_many),
        feedback=GroupCommit(db, partial(take_reports, pace=settings.pace_at_entry), gather=TOGETHER),
        cursors=Cursors(settings.signing_secret),
        crm=CrmSessions(settings.signing_secret),
        sns=SnsVerifier(outgoing, *settings.sns_believed),
        stripe=StripeSignature(settings),
        hubspot=HubSpotSignature(settings),
        brand=Brand(**settings.sender),
    )
    app.state.operations = api_health.Operations(context)
    for part in (  # the most used routes first: routes are tried in order
        events.router,
        enrolling.batch_router,
        enrolling.router,
        ses.router,
        twilio.router,
        stripe.router,
        hubspot.router,
        tracking.router,
        contact_batches.router,
        contacts.router,
        contact_history.router,
        merges.router,
        consents.router,
        contact_crm.router,
        crm_tasks.router,
        crm_sign_ins.router,
        suppressions.router,
        segment.router,
        segment.public_router,
        enrollments.router,
        run_commands.router,
        messages.router,
        score_quality.router,  # before the route that takes any id
        handoffs.router,
        imports.router,
        tracks.router,
        templates.router,
        previews.router,
        policy.router,
        deploys.router,
        segment_previews.router,
        entry_previews.router,
        segments.router,
        segment_members.router,
        segment_webhooks.router,
        score_previews.router,
        scores.router,
        score_values.router,
        score_lists.router,
        breakers.router,
        preferences.router,
        confirmation.router,
        answer_page.router,
        crm_pages.router,
        api_health.router,
    ):
        _serve(app, part)
    if settings.operations_port is None:
        _serve(app, api_health.operating)
    problems.install(app)
    document.install(app)
    if settings.docs_served:
        document.serve(app)
        docs_page.serve(app)
    admission = Admission(
        settings.requests_at_once, settings.requests_waiting, settings.longest_request_wait.total_seconds()
    )
    app.add_middleware(RefuseOverload, admission=admission, metrics=metrics)
    if cors_origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(cors_origins), allow_methods=["*"], allow_headers=["*"])
    app.add_middleware(ProtectAnswers, secure=secure)
    app.add_middleware(MeasureRequests, metrics=metrics)
    return app


@cache
def _certificates() -> SSLContext:
    """The certificate authorities that httpx trusts. Reading them takes 40 ms of CPU: once per process."""
    return httpx.create_ssl_context()


def _serve(app: FastAPI, router: APIRouter) -> None:
    """Add a router's existing routes to the app. `include_router` builds every route and its models again for each app:
    0.2 s of CPU at each start and in each of many hundred tests."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            route.unique_id = route.name  # the document's operation id
        app.router.routes.append(route)
