"""The 409 of imports, raised and documented: the import is in no state for what was asked of it."""

from __future__ import annotations

from typing import Any

from api.http.problems import ProblemError, documented

_KIND = "import-conflict"


def import_conflict(detail: str) -> ProblemError:
    """A 409 that says why the import cannot do it."""
    return ProblemError(409, _KIND, detail)


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route of imports for the OpenAPI document; its 409 is an import's."""
    return documented(*statuses, conflict=_KIND)
