"""What an effect is told of the event that a wait matched: the event's id, and only if its texts read it."""

from __future__ import annotations

from contextlib import AsyncExitStack

from temporalio.client import Client

from activities.contract import ReconcileCall, SendResult
from tests.workflows.program_parts import DAY, clicked
from tests.workflows.scripted import SENT, Script, in_state, started
from tracks.runs.program import Effect, WaitFor

CODE = (
    Effect(step="before", kind="crm", event=True),
    WaitFor(step="click", event="clicked", seconds=3 * DAY, timeout=2),
    Effect(step="note", kind="crm", event=True),
    Effect(step="plain", kind="crm"),
    Effect(step="text", kind="sms", event=True),
)


async def test_it_is_told_the_id_of_the_event_and_nothing_else_of_it(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, CODE)
    await in_state(run, "waiting")
    await run.signal("event", clicked("step:click", event_id="e-7"))
    await run.result()
    assert {call.step: call.event_id for call in script.calls} == {
        "before": "",
        "note": "e-7",
        "plain": "",
        "text": "e-7",
    }


async def test_the_question_about_an_unknown_message_names_the_same_event(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(sends={"text": [SendResult(outcome="unknown", message_id="m-1")]}, reconciles=[SENT])
    run = await started(stack, client, script, CODE[1:])
    await in_state(run, "waiting")
    await run.signal("event", clicked("step:click", event_id="e-7"))
    await run.result()
    assert [call.event_id for call in script.asked if isinstance(call, ReconcileCall)] == ["e-7"]
