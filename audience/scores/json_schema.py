"""The JSON Schema of scores, for editors that complete and check YAML while it is written."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import models_json_schema

from audience.scores.document import MAX_GRADES, MAX_RULES, MAX_THRESHOLD, GradeEntry, Head
from audience.scores.rules import EventRule, FitRule, WhileRule
from audience.segments.json_schema import members_schema
from tracks.model.values import SLUG

_LEAVES = ("Did", "DidNot", "Last", "First", "Sum", "Average", "Minimum", "Maximum", "Distinct", "DateLeaf")


def score_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a score's file. It checks shapes; publishing checks conditions too."""
    models = [(model, "validation") for model in (Head, FitRule, EventRule, WhileRule, GradeEntry)]
    _, found = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    parts: dict[str, Any] = found["$defs"]
    whole = parts.pop(Head.__name__)
    parts |= members_schema(leaves=_LEAVES)
    parts["WhileRule"]["properties"]["while"] = {"$ref": "#/$defs/Members"}
    threshold = {"type": "number", "minimum": -MAX_THRESHOLD, "maximum": MAX_THRESHOLD}
    whole["properties"] |= {
        "fit": _rules(["FitRule"]),
        "behaviour": _rules(["EventRule", "WhileRule"]),
        "grades": {
            "description": "Grades and the points at which they are entered; exactly one has none: the lowest.",
            "type": "object",
            "propertyNames": {"pattern": SLUG},
            "minProperties": 2,
            "maxProperties": MAX_GRADES,
            "additionalProperties": {"anyOf": [{"type": "null"}, threshold, {"$ref": "#/$defs/GradeEntry"}]},
        },
        "margin": {"default": 0, "type": "number", "minimum": 0, "maximum": MAX_THRESHOLD},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **whole,
        "title": "Perennial score",
        "$defs": parts,
    }


def _rules(names: list[str]) -> dict[str, Any]:
    refs = [{"$ref": f"#/$defs/{name}"} for name in names]
    items = refs[0] if len(refs) == 1 else {"anyOf": refs}
    return {"type": ["array", "null"], "items": items, "maxItems": MAX_RULES}


def schema_text() -> str:
    """The schema as the file `audience/score.schema.json` holds it."""
    return json.dumps(score_schema(), indent=2, ensure_ascii=False) + "\n"
