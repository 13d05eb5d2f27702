import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from tests.tracks.examples import EVERYTHING, with_steps
from tracks.model.json_schema import schema_text, track_schema
from tracks.shared.yaml_source import read_yaml

ROOM = Path(__file__).parents[3] / "tracks"
VALIDATOR = jsonschema_rs.Draft202012Validator(track_schema())


def test_the_published_schema_is_that_of_the_models() -> None:
    assert (ROOM / "track.schema.json").read_text() == schema_text()
    assert jsonschema_rs.meta.is_valid(json.loads(schema_text()))


@pytest.mark.parametrize(
    "text",
    [with_steps(EVERYTHING), *(path.read_text() for path in sorted((ROOM / "library").glob("*.yaml")))],
    ids=lambda text: str(text).splitlines()[0][:30],
)
def test_an_editor_accepts_sound_tracks(text: str) -> None:
    VALIDATOR.validate(read_yaml(text).data)


@pytest.mark.parametrize(
    "data",
    [
        {"steps": [{"id": "a", "wait": "1d"}]},
        {"track": "a", "steps": [{"id": "a", "wait": 1}]},
        {"track": "a", "steps": [{"id": "a", "wait": "1d", "extra": 1}]},
        {"track": "a", "steps": [{"id": "a", "wait_date": {"attribute": "x", "missing": "skip"}}]},
        {"track": "a", "steps": [{"id": "a", "wait_date": {"missing": "skip", "past": "skip"}}]},
        {"track": "a", "steps": [{"id": "a", "wait_until": {"day": 3}}]},
        {"track": "a", "steps": [{"id": "a", "wait_for": {"within": "1d"}}]},
        {"track": "a", "steps": [{"id": "a", "wait_for": {"within": "1d", "event": "x", "condition": "y"}}]},
        {"track": "a", "steps": [{"id": "a", "wait": {"days": "enrollment.properties.n"}}]},
        {"track": "a", "steps": [{"id": "a", "email": {"template": "No Name"}}]},
    ],
)
def test_an_editor_marks_mistakes_of_shape(data: Any) -> None:
    assert not VALIDATOR.is_valid(data)
