"""The validator's knowledge about paths through a track, compared with the compiled program."""

from __future__ import annotations

from hypothesis import given

from tests.tracks.reference_interpreter import CHOICES, targets, tracks
from tracks.checks.track_document import track_to_data
from tracks.compiler.compiler import compile_track
from tracks.model.track import Track
from tracks.runs.program import Branch, Exit, Jump, Program, Split
from tracks.static_analysis.flow import Flow


def following(program: Program, start: list[int]) -> set[int]:
    """Program counters that a run can reach from these."""
    seen, left = set(start), list(start)
    while left:
        pc = left.pop()
        for onward in onwards(program, pc):
            if onward not in seen:
                seen.add(onward)
                left.append(onward)
    return seen


def onwards(program: Program, pc: int) -> list[int]:
    if pc >= len(program.code):
        return []
    instruction = program.code[pc]
    falls_through = not isinstance(instruction, (Jump, Exit, Branch, Split))
    return [*targets(instruction), *([pc + 1] if falls_through else [])]


def steps_at(program: Program, pcs: set[int]) -> set[str]:
    return {step for pc in pcs if pc < len(program.code) and (step := getattr(program.code[pc], "step", None))}


def first_pc(program: Program, step: str) -> int:
    return next(pc for pc, instruction in enumerate(program.code) if getattr(instruction, "step", None) == step)


def can_follow(written: Track) -> list[tuple[set[str], set[str]]]:
    """For every step: the steps that the validator, and that the program, say can follow it."""
    flow = Flow(track_to_data(written)["steps"])
    program = compile_track(written).program
    # The exit of a date step has the step's own id in the program, and is no step of the track.
    exits = {instruction.step for instruction in program.code if isinstance(instruction, Exit)}
    return [
        (
            {flow.steps[other]["id"] for other in flow.after(path)} - exits,
            steps_at(program, following(program, onwards(program, first_pc(program, step["id"])))) - exits,
        )
        for path, step in flow.steps.items()
    ]


@given(tracks(CHOICES))
def test_what_can_follow_a_step_is_exactly_what_the_program_can_come_to(written: Track) -> None:
    for claimed, seen in can_follow(written):
        assert claimed == seen


@given(tracks())
def test_with_repeats_nothing_is_claimed_that_the_program_cannot_do(written: Track) -> None:
    # The program's shape allows a repeat to end before its first round; its meaning does not.
    for claimed, seen in can_follow(written):
        assert claimed <= seen


@given(tracks(CHOICES))
def test_just_the_steps_that_cannot_be_come_to_make_the_validator_complain(written: Track) -> None:
    flow = Flow(track_to_data(written)["steps"])
    program = compile_track(written).program
    called = {flow.steps[path]["id"] for path in flow.unreachable()}
    lost = {step["id"] for step in flow.steps.values()} - steps_at(program, following(program, [0]))
    assert called <= lost
    assert bool(called) == bool(lost)
