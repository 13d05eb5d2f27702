"""The schema of segments, as an editor uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

from audience.segments.json_schema import schema_text, segment_schema
from tests.audience.segments.any_segment import anything

VALIDATOR = jsonschema_rs.Draft202012Validator(segment_schema())


def test_the_published_schema_is_that_of_the_models() -> None:
    assert (Path(__file__).parents[3] / "audience" / "segment.schema.json").read_text() == schema_text()
    assert jsonschema_rs.meta.is_valid(json.loads(schema_text()))


@settings(max_examples=100)
@given(anything)
def test_an_editor_accepts_every_sound_segment(members: Any) -> None:
    VALIDATOR.validate({"segment": "s", "name": "S", "members": members})


@pytest.mark.parametrize(
    "data",
    [
        {"segment": "s"},
        {"segment": "No Slug", "members": "true"},
        {"segment": "s", "members": {"did": "a", "withn": "3d"}},
        {"segment": "s", "members": {"did": "a", "times": 3}},
        {"segment": "s", "members": {"all": [], "within": "3d"}},
        {"segment": "s", "members": {"any": [{"dit": "a"}]}},
        {"segment": "s", "members": "true", "colour": "red"},
    ],
)
def test_an_editor_marks_mistakes_of_shape(data: Any) -> None:
    assert not VALIDATOR.is_valid(data)
