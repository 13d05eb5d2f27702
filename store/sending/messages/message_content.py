"""The content of a message: its template's version and the parts it was made of; its text only if the policy says so.

The content is stored with the claim, before the provider is asked, so it is known even if the outcome is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from store.engine.driver_sql import later
from store.engine.ids import is_id
from store.engine.sql import as_json
from store.schema.rows import columns, read_row

AT_ONCE = 1_000
"""The most renderings that one transaction deletes."""


@dataclass(frozen=True, slots=True)
class MessageContent:
    """What one message was made of. A step's own text has no template: `template` is then empty, the version 0."""

    template: str = ""
    template_version: int = 0
    locale: str | None = None
    """The language variant; None if the template does not state its language."""
    blocks: Mapping[str, str] = field(default_factory=dict)
    """The name of the chosen text, by block."""
    subject_digest: str | None = None
    """SHA-256 of the subject as sent, in hex; None for a text message, and after the contact is erased."""
    rendering: Mapping[str, Any] | None = None
    """`subject`, `html` and `text` as they were given to the provider."""
    kept_until: datetime | None = None
    """When the rendering is deleted."""


async def keep(tx: AsyncConnection, message_id: str, track: str, content: MessageContent) -> None:
    """Store it with the transaction's next statement; a repeated send replaces the content. `track` is the run's."""
    values = {
        "id": message_id,
        "track": track,
        "template": content.template,
        "version": content.template_version,
        "locale": content.locale,
        "blocks": as_json(dict(content.blocks)),
        "subject": content.subject_digest,
        "rendering": None if content.rendering is None else as_json(dict(content.rendering)),
        "until": content.kept_until,
    }
    later(tx, _KEEP, values)


async def get(tx: AsyncConnection, message_id: str) -> MessageContent | None:
    """The content; None for a message that was never rendered, or that is older than this table."""
    if not is_id(message_id):
        return None
    row = (await tx.execute(_GET, {"id": message_id})).mappings().first()
    return read_row(MessageContent, row) if row else None


async def forget(tx: AsyncConnection, now: datetime) -> int:
    """Delete the renderings past their time, at most `AT_ONCE`; returns how many there were."""
    return (await tx.execute(_FORGET, {"now": now, "limit": AT_ONCE})).rowcount


COLUMNS = columns(MessageContent, "c")
_GET = text(f"SELECT {COLUMNS} FROM message_content c WHERE message_id = :id")
_KEEP = text("""
    INSERT INTO message_content
        (message_id, template, template_version, track, locale, blocks, subject_digest, rendering, kept_until)
    VALUES (:id, :template, :version, :track, :locale, CAST(:blocks AS jsonb), :subject, CAST(:rendering AS jsonb),
        :until)
    ON CONFLICT (message_id) DO UPDATE SET template = excluded.template, template_version = excluded.template_version,
        locale = excluded.locale, blocks = excluded.blocks, subject_digest = excluded.subject_digest,
        rendering = excluded.rendering, kept_until = excluded.kept_until
""")
_FORGET = text("""
    UPDATE message_content SET rendering = NULL, kept_until = NULL WHERE message_id IN (
        SELECT message_id FROM message_content WHERE kept_until <= :now
        ORDER BY kept_until LIMIT :limit FOR UPDATE SKIP LOCKED
    )
""")
