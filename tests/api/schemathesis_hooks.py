"""What Schemathesis cannot know by itself; `test_openapi` has it loaded."""

from __future__ import annotations

import schemathesis

# Without a way to write it, whichever example Schemathesis makes for an import in JSON Lines counts as an error.
schemathesis.serializer.alias("application/x-ndjson", "text/plain")
