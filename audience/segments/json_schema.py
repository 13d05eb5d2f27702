"""The JSON Schema of segments, for editors that complete and check YAML while it is written."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from pydantic.json_schema import models_json_schema

from audience.segments.document import Head
from audience.segments.members import LEAVES


def segment_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a segment's file. It checks shapes; publishing checks conditions too."""
    models = [(Head, "validation")]
    _, found = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    whole: dict[str, Any] = found["$defs"].pop(Head.__name__)
    parts = members_schema()
    whole["properties"]["members"] = {"$ref": "#/$defs/Members"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "Perennial segment",
        "$defs": parts,
    }


def members_schema(leaves: Collection[str] | None = None) -> dict[str, Any]:
    """The definition `Members`, and those that it refers to. `leaves` names the models that may occur; None: all."""
    allowed = [model for model in LEAVES.values() if leaves is None or model.__name__ in leaves]
    models = [(model, "validation") for model in allowed]
    _, found = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    parts: dict[str, Any] = found["$defs"]
    many = {"type": "array", "items": {"$ref": "#/$defs/Members"}, "minItems": 1}
    groups = {"all": many, "any": many, "not": {"$ref": "#/$defs/Members"}}
    parts["Members"] = {
        "description": "A condition over `contact`, what they did, a date, where they stand, or a group of such parts.",
        "anyOf": [
            {"type": "string", "minLength": 1},
            *({"$ref": f"#/$defs/{model.__name__}"} for model in allowed),
            *(
                {"type": "object", "properties": {key: part}, "required": [key], "additionalProperties": False}
                for key, part in groups.items()
            ),
        ],
    }
    return parts


def schema_text() -> str:
    """The schema as the file `audience/segment.schema.json` holds it."""
    return json.dumps(segment_schema(), indent=2, ensure_ascii=False) + "\n"
