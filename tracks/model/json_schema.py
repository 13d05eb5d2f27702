"""The JSON Schema of the track language, for editors that complete and check YAML while it is written."""

from __future__ import annotations

import json
from typing import Any

from tracks.model.steps.steps import STEP_TYPES
from tracks.model.track import Track


def track_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a track file. It checks shapes; publishing checks conditions and references."""
    schema = Track.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "Perennial track"}
    for verb, what in (("exit", "Ending"), ("break", "Leaving")):  # each may be written without a value
        step = schema["$defs"][STEP_TYPES[verb].__name__]["properties"]
        step[verb] = {"anyOf": [{"$ref": f"#/$defs/{what}"}, {"type": "null"}]}
    return schema


def schema_text() -> str:
    """The schema as the file `tracks/track.schema.json` holds it."""
    return json.dumps(track_schema(), indent=2, ensure_ascii=False) + "\n"
