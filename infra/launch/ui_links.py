"""Lists of Temporal UI that are worth keeping, as links into a given one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

LATE = timedelta(minutes=5)
"""A run is taken up within seconds; this much later it cannot get on, or its clock is wrong."""
COLUMNS = ("Track", "Step", "State", "NextActionAt")
"""What to add to the lists' table: Temporal UI shows no search attribute of ours by itself."""
_LIVE = 'ExecutionStatus="Running"'


def saved_queries(track: str | None = None, run: str | None = None, everywhere: Sequence[str] = ()) -> dict[str, str]:
    """What each list shows, and its query.

    With a track its waiting contacts too; with the workflow id `run` of a contact in it the runs of that one; with all
    workflow ids that a contact has had, `everywhere`, these runs.
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
    if run is not None:  # and those per object; not the runs of a contact whose id only begins so
        found["one contact"] = f'WorkflowId = "{run}" OR WorkflowId STARTS_WITH "{run}/"'
    if everywhere:
        found["one contact, in every track"] = "WorkflowId IN (" + ", ".join(f'"{one}"' for one in everywhere) + ")"
    return found


def link(ui: str, namespace: str, query: str) -> str:
    """That list in the UI at this address."""
    return f"{ui.rstrip('/')}/namespaces/{quote(namespace, safe='')}/workflows?query={quote(query, safe='')}"
