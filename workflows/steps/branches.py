"""The steps that choose a way: a branch by its conditions, a split by chance (the same for a contact each time)."""

from __future__ import annotations

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities import contract
    from activities.contract import BranchCall, Decided
    from tracks.conditions.conditions import (
        NO_TRACE,
        ConditionError,
        TooDearError,
        Verdict,
        judge_anew,
        judge_as_before,
        not_computed,
    )
    from tracks.runs.program import Branch, Split
    from tracks.runs.split import pick_arm

from workflows import patches
from workflows.run.local_activities import local
from workflows.run.run_context import Context


async def choose_case(ctx: Context, branch: Branch) -> int:
    """Take the first case whose condition holds; answers the program counter to go on at.

    An activity decides where a condition reads what only the database knows (`Branch.stored`).
    """
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
    """The index of the first case that holds by what the run itself knows; -1 for none.

    A condition that cannot be computed counts as false, and the run's notes say so.
    """
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
            # The patch is asked only where the old way and the new one differ: asking costs an event of the history.
            verdict = _as_before(case.when, known)
        if verdict.holds:
            return index
        if verdict.why not in NO_TRACE:
            memory.note(not_computed(branch.step, index, verdict.why))
    return -1


def _as_before(condition: str, known: dict[str, Any]) -> Verdict:
    """The verdict in runs from before the patch `CONDITIONS`."""
    try:
        return judge_as_before(condition, known)
    except ConditionError:
        return Verdict(False, "too much data")


def choose_arm(ctx: Context, split: Split) -> int:
    """Take the arm that chance gives this contact, the same one each time; answers the program counter to go on at."""
    arm = split.arms[pick_arm(ctx.given.contact_id, ctx.given.track, split.step, split.arms)]
    ctx.record(split.step, "split", "took", arm.name)
    return arm.goto
