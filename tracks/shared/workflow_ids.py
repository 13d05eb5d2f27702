"""Workflow ids: they outlive a process, so tests pin the exact strings."""

from __future__ import annotations

from urllib.parse import quote

MAX_WORKFLOW_ID = 1_000
"""The longest workflow id in bytes: Temporal's default limit for a namespace
(https://docs.temporal.io/references/dynamic-configuration, `limit.maxIDLength`)."""


def workflow_id(track: str, contact_id: str, key: str | None = None) -> str:
    """`nurture/<track>/<contact id>`, with `/<key>` at the end for a track with one run per object.

    The id enforces the re-entry rule. `/` and other separators inside the parts are percent-encoded, so that two
    different enrolments never share an id.
    """
    parts = [track, contact_id] if key is None else [track, contact_id, key]
    return "nurture/" + "/".join(quote(part, safe="-_.~:@+=,;!$*()'") for part in parts)
