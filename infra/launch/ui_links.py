"""Links to useful lists in a Temporal UI."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

LATE = timedelta(minutes=5)
"""A worker takes up a due run within seconds. After this time the run is stuck, or a clock is wrong."""
COLUMNS = ("Track", "Step", "State", "NextActionAt")
"""Columns to add to the lists: Temporal UI does not show our search attributes by default."""
_LIVE = 'ExecutionStatus="Running"'


def saved_queries(track: str | None = None, run: str | None = None, everywhere: Sequence[str] = ()) -> dict[str, str]:
    """Each list's description and its query.

    With `track`, there is a list of its waiting contacts. With `run`, a contact's workflow id in the track, there is a
    list of the contact's runs in it. With `everywhere`, all workflow ids of a contact, there is a list of these runs.
    """
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
    if run is not None:  # also runs per object, but not those of a contact whose id begins with the same text
        found["one contact"] = f'WorkflowId = "{run}" OR WorkflowId STARTS_WITH "{run}/"'
    if everywhere:
        found["one contact, in every track"] = "WorkflowId IN (" + ", ".join(f'"{one}"' for one in everywhere) + ")"
    return found


def link(ui: str, namespace: str, query: str) -> str:
    """The address of a list in the UI."""
    return f"{ui.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows?query={quote(query, safe='')}"
