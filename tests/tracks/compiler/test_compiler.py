"""The compiler compared with a second implementation of the language (`reference_interpreter`), and its output."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.examples import EVERYTHING, track
from tests.tracks.reference_interpreter import Choices, run_flat, targets, tracks, walk_tree
from tracks.compiler.compiler import compile_track, find_step
from tracks.model.track import Track
from tracks.runs.program import Branch, Compiled, Effect, Interest, Wait


@given(tracks(), st.integers(0, 1_000))
def test_a_compiled_track_does_what_its_nested_steps_mean(written: Track, seed: int) -> None:
    program = compile_track(written).program
    for number in range(seed, seed + 5):
        assert run_flat(program, Choices(number)) == walk_tree(written, Choices(number))


@given(tracks())
def test_every_jump_stays_within_the_program(written: Track) -> None:
    code = compile_track(written).program.code
    assert all(0 <= target <= len(code) for instruction in code for target in targets(instruction))


@given(tracks())
def test_every_step_is_in_the_program(written: Track) -> None:
    code = compile_track(written).program.code
    assert {step.id for step in written.walk()} == {getattr(instruction, "step", None) for instruction in code} - {None}


@given(tracks())
def test_a_program_survives_its_journey_as_json_and_stays_small(written: Track) -> None:
    compiled = compile_track(written)
    text = compiled.model_dump_json()
    assert Compiled.model_validate_json(text) == compiled
    assert len(text) < 120 * (len(compiled.program.code) + 1)


def test_what_publishing_derives_from_a_track() -> None:
    written = track(EVERYTHING)
    compiled = compile_track(written)

    assert compiled.interests == (
        Interest(event="email.clicked", match="step:clicked", where='event.properties.step == "welcome"', of="welcome"),
    )
    assert compiled.attributes == ("renewal_date",)
    assert compiled.event_properties == ("plan",)
    by_step = {getattr(i, "step", ""): i for i in reversed(compiled.program.code)}
    assert by_step["settle"] == Wait(step="settle", seconds=129_600)
    assert by_step["welcome"] == Effect(step="welcome", kind="email", on_unknown="review")
    assert by_step["nudge"] == Effect(step="nudge", kind="sms", on_unknown="resend")
    either = by_step["either"]
    assert isinstance(either, Effect)
    assert (either.kind, either.channels, either.on_unknown) == ("send", ("sms", "email"), "resend")
    assert either.unknown_by_channel == {"email": "assume_sent"}
    assert by_step["docs"] == Effect(step="docs", kind="email", on_unknown="assume_sent")
    assert find_step(written, "settle").id == "settle"


def test_goals_and_exit_rules_are_interests_too() -> None:
    written = Track.model_validate(
        {
            "track": "a",
            "goal": {"event": "bought", "where": "event.properties.total > 1"},
            "exits": [{"event": "closed", "reason": "closed"}, {"event": "left", "reason": "left"}],
            "defaults": {"sms": {"on_unknown": "resend", "from": "ACME"}},
            "steps": [{"id": "x", "sms": {"text": "hi"}}],
        }
    )
    compiled = compile_track(written)
    assert [(i.event, i.match, i.where) for i in compiled.interests] == [
        ("bought", "goal", "event.properties.total > 1"),
        ("closed", "exit:closed", None),
        ("left", "exit:left", None),
    ]
    assert compiled.program.code == (Effect(step="x", kind="sms", on_unknown="resend"),)


@pytest.mark.parametrize(
    ("when", "stored"),
    [
        ('contact.attributes.role == "x"', True),
        ("contact.has_phone", True),
        ('enrollment.properties.cart_id == "x"', True),
        ("size(enrollment) > 1", True),
        ('enrollment.steps.w == "happened"', False),
        ('event.properties.plan == "x" && now > event.at', False),
        ("enrollment.version > 1", False),
    ],
)
def test_only_conditions_that_read_the_database_are_decided_beside_it(when: str, stored: bool) -> None:
    written = track(f"""
        - {{id: w, wait_for: {{event: x, within: 1d}}}}
        - id: b
          branch: [{{when: '{when}', steps: []}}]
    """)
    branch = compile_track(written).program.code[1]
    assert isinstance(branch, Branch)
    assert branch.stored is stored


def test_a_program_reads_like_its_track() -> None:
    compiled = compile_track(
        track("""
        - {id: a, wait_for: {event: x, within: 1d, then: [{id: yes, sms: {text: hi}}], else: [{id: no, exit: {}}]}}
        - {id: d, wait_date: {attribute: x, missing: exit, past: {steps: [{id: late, wait: 1h}]}}}
        - {id: r, repeat: {times: 2, steps: [{id: w, wait: 1d}]}}
        - {id: m, sms: {text: hi}, failed: {steps: [{id: f, set: {attributes: {a: 1}}}]}}
    """)
    )
    assert [instruction.model_dump(exclude={"reason"}) for instruction in compiled.program.code] == [
        {"op": "wait_for", "step": "a", "event": "x", "seconds": 86_400, "timeout": 3},
        {"op": "effect", "step": "yes", "kind": "sms"},
        {"op": "jump", "goto": 4},
        {"op": "exit", "step": "no"},
        {"op": "wait_date", "step": "d", "missing": 6, "past": 7},
        {"op": "jump", "goto": 8},
        {"op": "exit", "step": "d"},
        {"op": "wait", "step": "late", "seconds": 3_600},
        {"op": "repeat", "step": "r", "times": 2, "end": 11},
        {"op": "wait", "step": "w", "seconds": 86_400},
        {"op": "jump", "goto": 8},
        {"op": "effect", "step": "m", "kind": "sms", "failed": 13},
        {"op": "jump", "goto": 14},
        {"op": "effect", "step": "f", "kind": "set"},
    ]
