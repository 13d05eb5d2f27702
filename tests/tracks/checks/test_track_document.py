import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.tracks.examples import EVERYTHING, MINIMAL, data_problems, track
from tracks.checks.track_document import check_track, parse_track, track_from_data, track_to_data
from tracks.model.steps.effects import Sms
from tracks.model.steps.steps import EmailStep, SmsStep
from tracks.model.track import Track, find_step
from tracks.shared.problems import TrackProblems


def test_every_step_and_key_of_the_language_is_read_and_written_back() -> None:
    written = track(EVERYTHING)
    data = json.loads(json.dumps(track_to_data(written)))
    assert track_from_data(data) == written
    assert track_to_data(track_from_data(data)) == data


def test_two_ways_to_write_a_track_have_one_canonical_form() -> None:
    one = track_from_data({**MINIMAL, "reentry": "never", "exits": [], "steps": [{"id": "x", "wait": "PT24H"}]})
    assert track_to_data(one) == MINIMAL


def test_a_step_is_found_by_its_id_at_any_depth() -> None:
    written = track(EVERYTHING)
    docs, late = find_step(written, "docs"), find_step(written, "late")
    assert isinstance(docs, EmailStep) and docs.email.template == "docs"
    assert isinstance(late, SmsStep) and late.kind == "sms"
    with pytest.raises(KeyError):
        find_step(written, "nowhere")


def test_a_track_built_in_python_is_the_same_track() -> None:
    built = Track(track="a", steps=(SmsStep(id="x", sms=Sms(text="hi", from_="ACME")),))
    assert check_track(built) == []
    assert track_to_data(built) == {"track": "a", "steps": [{"id": "x", "sms": {"text": "hi", "from": "ACME"}}]}


def test_what_models_cannot_see_is_found_in_a_track_built_in_python() -> None:
    step = SmsStep(id="x", sms=Sms(text="hi"))
    assert [problem.message for problem in check_track(Track(track="a", steps=(step, step)))] == [
        "has no sender: write from: '+15005550006' here or in defaults.sms",
        "the id 'x' is taken already by an earlier step; ids are unique in a track",
    ]


@pytest.mark.parametrize("data", [None, 1, "x", [], [1]])
def test_what_is_no_mapping_is_no_track(data: Any) -> None:
    assert data_problems(data) == ["track: a track is a mapping: track, steps, …"]


def test_hostile_depth_and_size_are_refused_and_not_recursed_into() -> None:
    deep: Any = {"id": "x", "wait": "1d"}
    for number in range(50_000):
        deep = {"id": f"r{number}", "repeat": {"times": 1, "steps": [deep]}}
    assert "nested more than" in data_problems({"track": "a", "steps": [deep]})[0]
    many = [{"id": f"s{number}", "wait": "1d"} for number in range(501)]
    assert data_problems({"track": "a", "steps": many}) == ["track: the track has 501 steps; at most 500 are allowed"]


def test_problems_of_a_file_that_is_no_yaml_have_its_line() -> None:
    with pytest.raises(TrackProblems) as caught:
        parse_track("track: a\nsteps: [", "b.yaml")
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [("b.yaml", 2)]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, part in parts for deeper in paths(part, (*path, key)))]


WHOLE = track_to_data(track(EVERYTHING))
PLACES = paths(WHOLE)[1:]


@settings(max_examples=150)
@given(st.sampled_from(PLACES), json_values)
@example(("defaults", "email", "from"), None)
def test_any_value_anywhere_is_judged_and_never_crashes(path: tuple[Any, ...], value: Any) -> None:
    data = json.loads(json.dumps(WHOLE))
    at = data
    for part in path[:-1]:
        at = at[part]
    at[path[-1]] = value
    if not data_problems(data):
        judged = track_from_data(data)
        assert track_from_data(track_to_data(judged)) == judged
