"""The signal of any event, and the program with which a run starts, fit into a history."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from store.runs.events.events import Event
from tracks.checks.track_document import parse_track
from tracks.compiler.compiler import compile_track
from tracks.runs.event_matching import left_out, signal_of
from tracks.runs.history_bounds import (
    MAX_MATCHED,
    MAX_PROGRAM,
    MAX_PROPERTIES,
    MAX_PROPERTY,
    bounded,
    program_problems,
)
from tracks.runs.program import Compiled, Interest, Program

NAMES = [f"p{number}" for number in range(8)]
TEXTS = st.integers(0, 3 * MAX_PROPERTY).map(lambda size: "x" * size) | st.text(max_size=40) | st.just("ü" * 3_000)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=6,
)


def size(value: Any) -> int:
    return len(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode())


@given(st.dictionaries(st.sampled_from(NAMES), VALUES), st.integers(0, 600))
def test_what_is_told_is_bounded_and_what_fits_is_told(properties: dict[str, Any], waits: int) -> None:
    interests = tuple(Interest(event="e", match=f"step:{number}") for number in range(waits))
    compiled = Compiled(program=Program(code=()), interests=interests, event_properties=tuple(NAMES[:6]))
    event = Event("e-1", "c-1", "e", properties)
    signal = signal_of(event, datetime.now(UTC), ("step:0",), compiled)
    assert all(size(value) <= MAX_PROPERTY for value in signal.properties.values())
    told = sum(size(value) + len(name) for name, value in signal.properties.items())
    assert told <= MAX_PROPERTIES and told * waits <= MAX_MATCHED
    asked = {name: value for name, value in properties.items() if name in NAMES[:6]}
    assert signal.properties.items() <= asked.items()
    assert left_out(signal, event, compiled) == len(asked) - len(signal.properties)
    if sum(size(value) + len(name) for name, value in asked.items()) <= MAX_PROPERTY and waits < 64:
        assert signal.properties == asked


def test_the_largest_go_first_and_the_order_stays() -> None:
    found = bounded({"long": "x" * 4_000, "plan": "team", "huge": "x" * 5_000, "link": "y" * 4_000, "of": [1, 2]})
    assert list(found) == ["long", "plan", "link", "of"]
    assert list(bounded({"long": "x" * 4_000, "longer": "y" * 4_050, "then": "z" * 3_000})) == ["long", "then"]


def test_a_track_whose_program_no_history_should_hold_is_named() -> None:
    arm = "      - {when: 'enrollment.id == \"%s\"', steps: []}\n"
    text = "track: long\nsteps:\n  - id: which\n    branch:\n" + "".join(arm % ("x" * 900) for _ in range(300))
    (problem,) = program_problems(compile_track(parse_track(text, "long.yaml")).program, "long.yaml")
    assert f"at most {MAX_PROGRAM:,}" in problem.message
