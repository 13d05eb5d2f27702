"""Lists of Temporal UI that are worth keeping, as links into a given one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

LATE = timedelta(minutes=5)
"""A run is taken up within seconds; this much later it cannot get on, or its clock is wrong."""
_LIVE = 'ExecutionStatus="Running"'


def saved_queries(track: str | None = None, contact: str | None = None) -> dict[str, str]:
    """What each list shows, and its query; with a track, and a contact of it, theirs too."""
    past = (datetime.now(UTC) - LATE).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = {
        "all runs under way": f'WorkflowType="NurtureTrack" AND {_LIVE}',
        "messages that need a decision": f'State="needs_review" AND {_LIVE}',
        "outcomes being reconciled": f'State="reconciling" AND {_LIVE}',
        "runs that should have gone on": f'NextActionAt < "{past}" AND {_LIVE}',
        "runs whose code fails": 'WorkflowType="NurtureTrack" AND TemporalReportedProblems IS NOT NULL',
    }
    if track is not None:
        found["its waiting contacts"] = f'Track="{track}" AND State="waiting" AND {_LIVE}'
        if contact is not None:
            found["one contact"] = f'WorkflowId STARTS_WITH "nurture/{track}/{contact}"'
    return found


def link(ui: str, namespace: str, query: str) -> str:
    """That list in the UI at this address."""
    return f"{ui.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows?query={quote(query, safe='')}"
