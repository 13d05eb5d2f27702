"""The instructions of a program, one function each: do the work, answer where to go on."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import BranchCall, Decided, ResolvedWait, ResolveWaitCall
    from tracks.conditions.conditions import (
        NO_TRACE,
        ConditionError,
        TooDearError,
        Verdict,
        judge_anew,
        judge_as_before,
        not_computed,
    )
    from tracks.program.program import (
        Branch,
        Break,
        Effect,
        Exit,
        Instruction,
        Jump,
        Repeat,
        Split,
        Wait,
        WaitDate,
        WaitFor,
        WaitUntil,
    )
    from tracks.program.run import HeardEvent, Matched
    from tracks.program.split import pick_arm
    from workflows.run.received_events import Since

from workflows import patches
from workflows.run.local_activities import local
from workflows.run.run_context import Context
from workflows.steps.effects import perform

JUST_AFTER = timedelta(milliseconds=1)
"""A wait for a time of day that follows a late one for the same time is for the next day, as it is without delay."""


async def execute(ctx: Context, instruction: Instruction) -> int:
    """Carry out the instruction at the program counter; answer the next one's."""
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
            await _wait(ctx, instruction)
            return after
        case WaitUntil() | WaitDate():
            return await _wait_moment(ctx, instruction, after)
        case WaitFor():
            return after if await _wait_for(ctx, instruction) else instruction.timeout
        case Branch():
            return await _branch(ctx, instruction)
        case Split():
            return _split(ctx, instruction)
        case Break():
            return _break(ctx, instruction)
        case Exit():
            ctx.record(instruction.step, "exit", "done", instruction.reason)
            ctx.memory.end("exited", instruction.reason)
            return after


def begin(ctx: Context, step: str) -> None:
    """Begin the step, unless the run continued as new amid it."""
    ctx.skip_wait = False
    if not ctx.memory.amid:
        ctx.memory.begin(step, workflow.now())


async def _wait(ctx: Context, wait: Wait) -> None:
    length = ctx.given.clock.real_delay(timedelta(seconds=wait.seconds))
    deadline = ctx.carried() or ctx.due() + length
    woken = await ctx.wait(wait.step, "time to pass", deadline, lambda: ctx.skip_wait)
    _waited(ctx, wait.step, "wait", woken, deadline)


def _waited(ctx: Context, step: str, kind: str, woken: bool, deadline: datetime) -> None:
    ctx.memory.reach(workflow.now() if woken else deadline)
    if not woken:
        ctx.record(step, kind, "done")
    elif ctx.ending:
        ctx.record(step, kind, "skipped", "the run ended")
    else:
        ctx.record(step, kind, "skipped", "by an operator")


async def _wait_moment(ctx: Context, wait: WaitUntil | WaitDate, after: int) -> int:
    """Wait for a moment that the database knows; asked again whenever the attributes it reads change."""
    carried = ctx.carried()
    asked = ctx.due() if carried is None else workflow.now()
    after_due = JUST_AFTER if ctx.given.clock.jumps or asked < workflow.now() else timedelta(0)
    while True:
        ctx.memory.changed.clear()
        if carried is not None:
            deadline, carried = carried, None
        else:
            answer = await _resolve(ctx, wait, ctx.given.clock.at(asked) + after_due)
            if answer.outcome == "ended":
                ctx.memory.end("exited", "no longer enrolled")
                return after
            if answer.at is None:
                ctx.record(wait.step, wait.op, "skipped", answer.outcome)
                if isinstance(wait, WaitDate):
                    return wait.missing if answer.outcome == "missing" else wait.past
                return after
            deadline = ctx.given.clock.real(answer.at)
        woken = await ctx.wait(wait.step, "its moment", deadline, lambda: ctx.skip_wait or bool(ctx.memory.changed))
        if woken and ctx.memory.changed and not ctx.ending and not ctx.skip_wait:
            ctx.memory.note(f"`{wait.step}` looked at its date again: it changed")
            asked, after_due = workflow.now(), timedelta(0)
            continue
        _waited(ctx, wait.step, wait.op, woken, deadline)
        return after


async def _resolve(ctx: Context, wait: WaitUntil | WaitDate, now: datetime) -> ResolvedWait:
    question = ResolveWaitCall(enrollment_id=ctx.given.enrollment_id, step=wait.step, now=now)
    summary = f"{wait.step}: when is its moment?"
    answer: ResolvedWait = await local(contract.RESOLVE_WAIT, question, ResolvedWait, summary=summary)
    return answer


async def _wait_for(ctx: Context, wait: WaitFor) -> bool:
    """Whether the event came in time.

    Whoever is to react has the whole time since the step has begun. Where the clock jumps, what follows was due at the
    event or at the end of the time since the step was due.
    """
    length = ctx.given.clock.real_delay(timedelta(seconds=wait.seconds))
    resumed = ctx.carried()
    deadline = resumed or workflow.now() + length
    if resumed is None:
        ctx.memory.heard.begin(wait.step, Since(ctx.memory.due[wait.step], ctx.memory.began[wait.step]))

    def ends() -> HeardEvent | Matched | None:
        return _ending_event(ctx, wait, deadline)

    def latest() -> datetime:
        if not ctx.given.clock.jumps:
            return workflow.now()
        return min(ctx.memory.due[wait.step] + length, workflow.now())

    await ctx.wait(wait.step, f"the event {wait.event}", deadline, lambda: ends() is not None or ctx.skip_wait)
    ended = ends()
    if ended is not None:
        if isinstance(ended, HeardEvent):
            ctx.memory.ended_by(wait.step, ended, latest())
        else:
            ctx.memory.ended_by_latest(wait.step, ended, workflow.now())
        assert ctx.memory.event is not None
        ctx.record(wait.step, "wait_for", "happened", ctx.memory.event.event_id)
        return True
    if ctx.ending:
        ctx.memory.reach(latest())
        ctx.record(wait.step, "wait_for", "skipped", "the run ended")
        return False
    ctx.memory.reach(latest() if ctx.skip_wait or ctx.given.clock.jumps else deadline)
    ctx.record(wait.step, "wait_for", "timed_out", "by an operator" if ctx.skip_wait else "")
    return False


def _ending_event(ctx: Context, wait: WaitFor, deadline: datetime) -> HeardEvent | Matched | None:
    """The event that ends a wait now, if one does; a `Matched` in runs from before `PATCH_EVENTS_COUNT_ONCE`."""
    memory, step = ctx.memory, wait.step
    until = deadline if ctx.late(deadline) else None
    new = memory.heard.first(step, memory.since(step, wait.since), memory.due[step], until)
    since = _began(ctx, wait)
    old = memory.match_since(step, since)
    near = memory.match_despite_clocks(step, since) if old is None else None
    same = old is not None and new is not None and old.event_id == new.event.event_id
    # Asked only where it makes a difference: a patch costs a run an event of its history.
    if same or (old is None and near is None and new is None) or workflow.patched(patches.EVENTS_COUNT_ONCE):
        return new
    if near is not None and workflow.patched(patches.CLOCKS_APART):
        return near
    return old


def _began(ctx: Context, wait: WaitFor) -> datetime | None:
    """From when on events count in runs from before `PATCH_EVENTS_COUNT_ONCE`; None: from the enrolment."""
    began = ctx.memory.began
    if wait.since == "enrollment":
        return None
    return began.get(wait.step if wait.since == "step" else wait.since, began[wait.step])


async def _branch(ctx: Context, branch: Branch) -> int:
    memory = ctx.memory
    if branch.stored:
        question = BranchCall(
            enrollment_id=ctx.given.enrollment_id,
            step=branch.step,
            now=ctx.run_now(),
            event=memory.event,
            steps=memory.outcomes,
        )
        wanted: Any = int | Decided
        answer: int | Decided = await local(contract.DECIDE_BRANCH, question, wanted, summary=f"{branch.step}: branch")
        taken = answer.taken if isinstance(answer, Decided) else answer
        for line in answer.notes if isinstance(answer, Decided) else ():
            memory.note(line)
    else:
        taken = _decide(ctx, branch)
    ctx.record(branch.step, "branch", "took", "otherwise" if taken < 0 else f"case-{taken + 1}")
    return branch.otherwise if taken < 0 else branch.cases[taken].goto


def _decide(ctx: Context, branch: Branch) -> int:
    """The first true case, from what the run itself knows; a condition that fails is false, and said so."""
    given, memory = ctx.given, ctx.memory
    known = {
        "event": memory.event.view() if memory.event else {},
        "enrollment": {
            "id": given.enrollment_id,
            "track": given.track,
            "version": given.version,
            "steps": dict(memory.outcomes),
        },
        "now": ctx.run_now(),
    }
    for index, case in enumerate(branch.cases):
        try:
            verdict, new = judge_anew(case.when, known)
        except TooDearError:
            verdict, new = Verdict(False, "too much work"), True
        except ConditionError:
            verdict, new = Verdict(False, "too much data"), False
        if new and not workflow.patched(patches.CONDITIONS):
            # Asked only where it makes a difference: a patch costs a run an event of its history.
            verdict = _as_before(case.when, known)
        if verdict.holds:
            return index
        if verdict.why not in NO_TRACE:
            memory.note(not_computed(branch.step, index, verdict.why))
    return -1


def _as_before(condition: str, known: dict[str, Any]) -> Verdict:
    try:
        return judge_as_before(condition, known)
    except ConditionError:
        return Verdict(False, "too much data")


def _split(ctx: Context, split: Split) -> int:
    arm = split.arms[pick_arm(ctx.given.contact_id, ctx.given.track, split.step, split.arms)]
    ctx.record(split.step, "split", "took", arm.name)
    return arm.goto


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
