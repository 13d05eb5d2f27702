"""The input, signals and result of an import's workflow: ids and counts only."""

from __future__ import annotations

from typing import Literal

from tracks.shared.payload_model import PayloadModel

WORKFLOW_TYPE = "ImportContacts"
TASK_QUEUE = "perennial-imports"
SIGNAL_CHANGED = "changed"
QUERY_PROGRESS = "progress"
UPDATE_PAUSE = "pause"
UPDATE_RESUME = "resume"
UPDATE_CANCEL = "cancel"
UPDATE_SET_RATE = "set_rate"

ImportState = Literal["receiving", "running", "paused", "cancelled", "completed", "failed"]
MAX_RATE = 10_000
"""The highest rate that an import may have, in rows per second."""
ENDED: tuple[ImportState, ...] = ("cancelled", "completed", "failed")


class ImportInput(PayloadModel):
    """The input of `ImportContacts`, also when it continues as new. The progress of the import is in the database."""

    import_id: str
    track: str
    continue_after: int = 1000
    """Continue as new once the history holds this many events (or the server suggests it)."""


class ImportResult(PayloadModel):
    """How an import ended."""

    state: ImportState
    rows: int = 0
    outcomes: dict[str, int] = {}


def workflow_id(import_id: str) -> str:
    """`import/<id>`."""
    return f"import/{import_id}"
