"""Store a message's content with its claim; it tells which contacts got which version of a template."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from activities.shared.step_content import Draft, Found
from store.published import policies
from store.sending.messages import message_content
from store.sending.messages.message_content import MessageContent
from tracks.content.rendering.rendered_messages import Choices

log = structlog.get_logger(__name__)


async def keep_content(
    tx: AsyncConnection,
    draft: Draft,
    found: Found | None,
    choices: Choices,
    *,
    text: str,
    subject: str | None = None,
    html: str | None = None,
) -> None:
    """Store what the message was made of, and its text for as long as the policy says; `found` is its template."""
    if choices.left_out:
        log.warning("links left out", message_id=draft.message_id, schemes=choices.left_out)
    span = policies.known(tx).keep_sent
    content = MessageContent(
        template=found.name if found else "",
        template_version=found.version if found else 0,
        locale=choices.locale,
        blocks=choices.chosen,
        subject_digest=hashlib.sha256(subject.encode()).hexdigest() if subject is not None else None,
        rendering={"subject": subject, "html": html or None, "text": text} if span else None,
        kept_until=datetime.now(UTC) + span if span else None,
    )
    await message_content.keep(tx, draft.message_id, draft.enrollment.track, content)
