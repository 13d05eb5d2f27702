"""The id of a request: what an answer that refuses and the log of a failure have in common.

It costs nothing where all goes well: it is read, or made, when somebody needs it.
"""

from __future__ import annotations

import re
import uuid

from starlette.datastructures import Headers
from starlette.types import Scope

HEADER = "X-Request-Id"
_KEPT = "perennial.request_id"
_SOUND = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
"""What may stand in a log: no spaces, no controls, nothing that an email address could be."""


def request_id(scope: Scope) -> str:
    """That of the caller, or of a proxy before us, where it is sound; else one of our own. It stays the same."""
    if _KEPT not in scope:
        told = Headers(scope=scope).get(HEADER, "")
        scope[_KEPT] = told if _SOUND.fullmatch(told) else str(uuid.uuid4())
    kept: str = scope[_KEPT]
    return kept
