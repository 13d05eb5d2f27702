"""The id of a request. It stands in the answer that refuses and in the log of the failure.

A request that succeeds costs nothing: the id is read or made only when it is needed.
"""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers
from starlette.types import Scope

HEADER = "X-Request-Id"
_KEPT = "perennial.request_id"
_SOUND = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
"""Ids that may stand in a log: no spaces, no control characters, and no text that could be an email address."""


def request_id(scope: Scope) -> str:
    """The id that the caller or a proxy sent, if it is valid, else a new one. It stays the same for the request."""
    if _KEPT not in scope:
        told = Headers(scope=scope).get(HEADER, "")
        scope[_KEPT] = told if _SOUND.fullmatch(told) else str(uuid.uuid4())
    kept: str = scope[_KEPT]
    return kept
