"""The schema of scores, as an editor uses it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given, settings

from audience.scores.json_schema import schema_text, score_schema
from tests.audience.scores.test_evaluation import scores

VALIDATOR = jsonschema_rs.Draft202012Validator(score_schema())
GRADES = {"cold": None, "hot": 40}


def test_the_published_schema_is_that_of_the_models() -> None:
    assert (Path(__file__).parents[3] / "audience" / "score.schema.json").read_text() == schema_text()
    assert jsonschema_rs.meta.is_valid(json.loads(schema_text()))


@settings(max_examples=100)
@given(scores)
def test_an_editor_accepts_every_sound_score(score: Any) -> None:
    VALIDATOR.validate(score)


@pytest.mark.parametrize(
    "data",
    [
        {"score": "s"},
        {"score": "No Slug", "grades": GRADES},
        {"score": "s", "grades": {"cold": None}},
        {"score": "s", "grades": {"cold": "x", "hot": 3}},
        {"score": "s", "grades": GRADES, "fit": [{"id": "a", "points": 1}]},
        {"score": "s", "grades": GRADES, "behaviour": [{"id": "a", "event": "x", "points": 1, "half_life": "ever"}]},
        {"score": "s", "grades": GRADES, "behaviour": [{"id": "a", "while": {"in": "vip"}, "points": 1}]},
        {"score": "s", "grades": GRADES, "colour": "red"},
    ],
)
def test_an_editor_marks_mistakes_of_shape(data: Any) -> None:
    assert not VALIDATOR.is_valid(data)
