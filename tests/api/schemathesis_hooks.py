"""What Schemathesis cannot know by itself. `test_openapi` makes it load this file."""

from __future__ import annotations

import os
from typing import Any

import schemathesis

# Without a serializer, every example that Schemathesis makes for an import in JSON Lines counts as an error.
schemathesis.serializer.alias("application/x-ndjson", "text/plain")


@schemathesis.auth()
class Key:
    """The API's key, from the environment because every user of a machine can read its command lines."""

    def get(self, _case: Any, _context: Any) -> str:
        """The key itself."""
        return os.environ["PERENNIAL_API_KEY"]

    def set(self, case: Any, data: str, _context: Any) -> None:
        """Put it into a request."""
        case.headers["Authorization"] = f"Bearer {data}"
