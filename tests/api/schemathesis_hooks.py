"""What Schemathesis cannot know by itself; `test_openapi` has it loaded."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

# Without a way to write it, whichever example Schemathesis makes for an import in JSON Lines counts as an error.
schemathesis.serializer.alias("application/x-ndjson", "text/plain")


@schemathesis.auth()
class Key:
    """The API's key, from the environment: everybody on a machine can read its command lines."""

    def get(self, _case: Any, _context: Any) -> str:
        """The key itself."""
        return os.environ["PERENNIAL_API_KEY"]

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Put it into a request."""
        case.headers["Authorization"] = f"Bearer {data}"
