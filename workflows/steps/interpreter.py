"""Carries out one instruction of a track's program and answers the program counter of the next one."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from tracks.runs.program import (
        Branch,
        Break,
        Effect,
        Exit,
        Handoff,
        Instruction,
        Jump,
        Repeat,
        Split,
        Wait,
        WaitCondition,
        WaitDate,
        WaitFor,
        WaitMoment,
        WaitUntil,
    )

from workflows.run.run_context import Context
from workflows.steps.branches import choose_arm, choose_case
from workflows.steps.conditions import wait_for_condition
from workflows.steps.effects import perform
from workflows.steps.handoffs import hand_over
from workflows.steps.waits import wait_for_event, wait_for_moment, wait_for_time


async def execute(ctx: Context, instruction: Instruction) -> int:
    """Carry out the instruction at the program counter; answers the program counter of the next one."""
    after = ctx.memory.pc + 1
    match instruction:
        case Jump():
            return instruction.goto
        case Repeat():
            return _repeat(ctx, instruction)
    begin(ctx, instruction.step)
    match instruction:
        case Effect():
            onward = await perform(ctx, instruction)
            return after if onward is None else onward
        case Wait():
            await wait_for_time(ctx, instruction)
            return after
        case WaitUntil() | WaitDate() | WaitMoment():
            return await wait_for_moment(ctx, instruction, after)
        case WaitFor():
            return after if await wait_for_event(ctx, instruction) else instruction.timeout
        case WaitCondition():
            return after if await wait_for_condition(ctx, instruction) else instruction.timeout
        case Handoff():
            return await hand_over(ctx, instruction, after)
        case Branch():
            return await choose_case(ctx, instruction)
        case Split():
            return choose_arm(ctx, instruction)
        case Break():
            return _break(ctx, instruction)
        case Exit():
            ctx.record(instruction.step, "exit", "done", instruction.reason)
            ctx.memory.end("exited", instruction.reason)
            return after


def begin(ctx: Context, step: str) -> None:
    """Begin the step, unless it began in the run before and goes on in this one."""
    ctx.skip_wait = False
    if not ctx.memory.amid:
        ctx.memory.begin(step, workflow.now())


def _break(ctx: Context, leave: Break) -> int:
    rounds = ctx.memory.counters.pop(leave.repeat, 0)
    ctx.record(leave.step, "break", "done")
    ctx.record(leave.repeat, "repeat", "done", f"{rounds} rounds")
    return leave.goto


def _repeat(ctx: Context, repeat: Repeat) -> int:
    rounds = ctx.memory.counters.get(repeat.step, 0)
    if rounds >= repeat.times:
        ctx.memory.counters.pop(repeat.step, None)
        ctx.record(repeat.step, "repeat", "done", f"{rounds} rounds")
        return repeat.end
    ctx.memory.counters[repeat.step] = rounds + 1
    return ctx.memory.pc + 1
