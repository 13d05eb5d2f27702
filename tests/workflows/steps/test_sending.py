"""How a run handles a message that needs more than one try, on the time-skipping server."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.contract import SendResult
from tests.workflows.program_parts import DAY, email, goal
from tests.workflows.scripted import SENT, Script, in_state, lasted, started
from tracks.runs.program import Effect, Exit, Jump, Wait
from tracks.runs.run_interface import (
    AttributesChanged,
    MessageAmid,
    ResolveMessage,
    RunResult,
    RunState,
    met_key,
)
from workflows import retry_policies

UNKNOWN = SendResult(outcome="unknown", message_id="m-1")
SKIPPED = SendResult(outcome="skipped", reason="no address")
FAILED = SendResult(outcome="failed", reason="ses:MessageRejected")
GIVEN_UP = ApplicationError("down", type="ProviderUnavailable", non_retryable=True)
ELSEWHERE = SendResult(outcome="elsewhere", channel="sms")
Run = WorkflowHandle[object, RunResult]


def put_off(reason: str, **later: float) -> SendResult:
    until = datetime.now(UTC) + timedelta(**later) if later else None
    return SendResult(outcome="deferred", reason=reason, until=until)


async def details(run: Run) -> str:
    """What Temporal UI shows of the run."""
    metadata: WorkflowMetadata = await run.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    return metadata.current_details


AFTER = (
    Effect(step="hello", kind="email", skipped=3, failed=5),
    Effect(step="glad", kind="crm"),
    Jump(goto=6),
    Effect(step="unreachable", kind="crm"),
    Exit(step="hello", reason="message-skipped"),
    Effect(step="broken", kind="crm"),
    Effect(step="next", kind="crm"),
)


@pytest.mark.parametrize(
    ("answers", "steps", "end"),
    [
        ([SENT], ["hello", "glad", "next"], "all steps done"),
        ([SKIPPED], ["hello", "unreachable"], "message-skipped"),
        ([FAILED], ["hello", "broken", "next"], "all steps done"),
        ([GIVEN_UP], ["hello", "broken", "next"], "all steps done"),
        ([put_off("resend"), SKIPPED], ["hello", "hello", "unreachable"], "message-skipped"),
    ],
)
async def test_a_track_says_what_follows_a_message_that_did_not_go_out(
    client: Client, stack: AsyncExitStack, answers: list[SendResult | Exception], steps: list[str], end: str
) -> None:
    script = Script(sends={"hello": answers})
    run = await started(stack, client, script, AFTER)
    assert (await run.result()).reason == end
    assert [call.step for call in script.calls] == steps


async def test_an_operator_who_skips_a_message_sends_the_run_the_way_of_a_skip(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script(
        sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN] * 6 + [SendResult(outcome="skipped", reason="operator")]
    )
    code = [AFTER[0].model_copy(update={"on_unknown": "review"}), *AFTER[1:]]
    run = await started(stack, client, script, code)
    await temporal_env.sleep(timedelta(days=1))
    await in_state(run, "needs_review")
    await run.execute_update("resolve_message", ResolveMessage(decision="skip"))
    assert (await run.result()).reason == "message-skipped"


EITHER = Effect(step="nudge", kind="send", channels=("email", "sms"))


@pytest.mark.parametrize(
    ("answers", "asked", "sent"),
    [
        ([SENT], [("send_email", "")], {"email": 1}),
        ([ELSEWHERE, SENT], [("send_email", ""), ("send_sms", "sms")], {"sms": 1}),
        (
            [ELSEWHERE, put_off("quiet hours", hours=9), SENT],
            [("send_email", ""), ("send_sms", "sms"), ("send_sms", "")],
            {"sms": 1},
        ),
    ],
)
async def test_one_message_goes_out_by_the_channel_that_the_store_chose(
    client: Client,
    stack: AsyncExitStack,
    answers: list[SendResult | Exception],
    asked: list[tuple[str, str]],
    sent: dict[str, int],
) -> None:
    script = Script(sends={"nudge": answers})
    run = await started(stack, client, script, [EITHER])
    result = await run.result()
    assert [(name, call.channel) for name, call in zip(script.activities, script.calls, strict=True)] == asked
    assert {call.occurrence for call in script.calls} == {1}
    assert result.sent == sent
    assert script.path[-1] == ("nudge", "sent", *sent)


async def test_channels_that_point_at_each_other_do_not_keep_a_run_busy(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"nudge": [ELSEWHERE]})
    run = await started(stack, client, script, [EITHER])
    assert (await run.result()).messages == {"failed": 1}
    assert len(script.calls) == 3


async def test_a_deferred_message_waits_for_its_turn_and_asks_again(client: Client, stack: AsyncExitStack) -> None:
    until = datetime.now(UTC) + timedelta(hours=9)
    later = SendResult(outcome="deferred", reason="quiet hours", until=until)
    script = Script(sends={"hello": [later, later, SENT]})
    run = await started(stack, client, script, [email("hello")])
    result = await run.result()
    assert await lasted(run) >= timedelta(hours=8, minutes=59)
    assert script.path == [
        ("hello", "deferred", f"quiet hours, until {until:%Y-%m-%d %H:%M} UTC"),
        ("hello", "sent", ""),
    ]
    assert result.messages == {"deferred": 2, "sent": 1}


@pytest.mark.parametrize("answer", [put_off("paused"), put_off("paused", days=-1)])
async def test_a_deferral_without_a_time_to_come_is_asked_again_after_a_pause(
    client: Client, stack: AsyncExitStack, answer: SendResult
) -> None:
    script = Script(sends={"hello": [answer, answer, answer, SENT]})
    run = await started(stack, client, script, [Effect(step="hello", kind="email")])
    assert (await run.result()).messages == {"deferred": 3, "sent": 1}
    assert await lasted(run) >= 3 * retry_policies.ASK_AGAIN_AFTER


async def test_a_goal_ends_a_deferral_at_once(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"hello": [put_off("paused", days=30)]})
    run = await started(stack, client, script, [Effect(step="hello", kind="email", skipped=1)])
    await in_state(run, "deferred")
    await run.signal("event", goal())
    assert (await run.result()).status == "converted"
    assert await lasted(run) < timedelta(seconds=5)
    assert len(script.calls) == 1
    assert script.path[-1] == ("hello", "skipped", "the run ended")


async def test_a_message_goes_once_the_database_says_that_nothing_holds_it_any_longer(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(sends={"hello": [put_off("with sales", days=20), SENT]})
    run = await started(stack, client, script, [Effect(step="hello", kind="email"), Wait(step="then", seconds=DAY)])
    await in_state(run, "deferred")
    free = AttributesChanged(change_id="a-1", names=(), met=met_key("hello", 1))
    await run.signal("attributes_changed", free.model_copy(update={"change_id": "a-0", "met": met_key("other", 1)}))
    await run.signal("attributes_changed", free)
    assert (await run.result()).messages == {"deferred": 1, "sent": 1}
    assert timedelta(days=1) <= await lasted(run) < timedelta(days=1, minutes=1)
    assert [(call.step, call.occurrence) for call in script.calls] == [("hello", 1), ("hello", 1)]


async def test_a_message_that_is_held_again_after_it_was_woken_waits_again(
    client: Client, stack: AsyncExitStack
) -> None:
    held = put_off("with sales", days=20)
    script = Script(sends={"hello": [held, held, SENT]})
    run = await started(stack, client, script, [Effect(step="hello", kind="email")])
    await in_state(run, "deferred")
    await run.signal("attributes_changed", AttributesChanged(change_id="a-1", names=(), met=met_key("hello", 1)))
    assert (await run.result()).messages == {"deferred": 2, "sent": 1}
    assert await lasted(run) > timedelta(days=19)
    assert len(script.calls) == 3


async def test_a_message_put_off_for_months_keeps_its_effect_key_through_continue_as_new(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(sends={"hello": [put_off("paused", days=70), SENT]})
    code = [Effect(step="hello", kind="email"), Wait(step="pause", seconds=DAY), Effect(step="bye", kind="email")]
    run = await started(stack, client, script, code, continue_after=5)
    result = await run.result()
    assert [(call.step, call.occurrence) for call in script.calls] == [("hello", 1), ("hello", 1), ("bye", 1)]
    assert timedelta(days=70) <= await _whole(client, run) < timedelta(days=72)
    assert result.messages == {"deferred": 1, "sent": 2}


LATER = datetime.now(UTC) + timedelta(days=10)


@pytest.mark.parametrize(
    ("amid", "ended"),
    [
        ({"message": MessageAmid(channel="email", deferred="paused"), "deadline": LATER}, "skipped"),
        ({"message": MessageAmid(channel="email", unknown="m-1", asked=2), "deadline": LATER}, "unknown"),
        ({"message": MessageAmid(channel="email", unknown="m-1", asked=6)}, "unknown"),
    ],
)
async def test_a_message_is_accounted_for_although_the_goal_met_the_run_as_it_continued_as_new(
    client: Client, stack: AsyncExitStack, amid: dict[str, Any], ended: str
) -> None:
    script = Script(reconciles=[UNKNOWN])
    state = RunState(occurrences={"hello": 1}, **amid)
    code = [Effect(step="hello", kind="email", on_unknown="review"), Effect(step="never", kind="email")]
    run = await started(stack, client, script, code, state=state, goal=goal())
    assert (await run.result()).messages == {ended: 1}
    assert script.path == [("hello", ended, "the run ended")]
    assert script.calls == []


async def test_temporals_page_names_each_outcome_with_its_reason(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    until = datetime.now(UTC) + timedelta(days=40)
    held = until + timedelta(days=1)
    script = Script(
        sends={
            "gone": [SKIPPED],
            "broken": [FAILED],
            "lost": [UNKNOWN],
            "late": [
                SendResult(outcome="deferred", reason="capped: 2 a week", until=until),
                SendResult(outcome="deferred", reason="breaker: track:t", until=held, why="a wrong price"),
                SENT,
            ],
        },
        reconciles=[UNKNOWN, SendResult(outcome="sent", reason="assumed")],
    )
    code = [*(Effect(step=step, kind="email") for step in ("hello", "gone", "broken", "lost", "late")), EITHER]
    run = await started(stack, client, script, code)
    await in_state(run, "reconciling")
    shown = await details(run)
    assert "`lost` unknown (being reconciled)" in shown
    assert re.search(
        r"the provider's word on the message \(question [12] of 6; "
        r"if the last finds nothing out, at about \d{4}-\d\d-\d\d \d\d:\d\d UTC, it counts as sent\)\.",
        shown,
    )
    await temporal_env.sleep(timedelta(hours=1))
    await in_state(run, "deferred")
    shown = await details(run)
    for words in (
        "At step `late`: **deferred**",
        "Waiting for its turn (capped: 2 a week).",
        f"Until {until:%Y-%m-%d %H:%M:%S} UTC",
        "Sent: 2 emails.",
        "Not sent: 1 failed, 1 skipped.",
        "Put off: 1 time.",
        "`hello` sent",
        "`gone` skipped (no address)",
        "`broken` failed (ses:MessageRejected)",
        "`lost` sent (assumed)",
        f"`late` deferred (capped: 2 a week, until {until:%Y-%m-%d %H:%M} UTC)",
    ):
        assert words in shown
    await temporal_env.sleep(timedelta(days=40))
    assert "Waiting for its turn (breaker: track:t: a wrong price)." in await details(run)
    result = await run.result()
    assert "`nudge` sent (email)" in await details(run)
    assert result.messages == {"sent": 4, "skipped": 1, "failed": 1, "deferred": 2}
    assert script.closed[0].counts["messages"] == result.messages


async def _whole(client: Client, run: Run) -> timedelta:
    """How long all runs of a chain took."""
    last = await client.get_workflow_handle(run.id).describe()
    first = await client.get_workflow_handle(run.id, run_id=run.first_execution_run_id).describe()
    assert last.close_time is not None
    return last.close_time - first.start_time


async def test_a_message_to_somebody_else_is_told_as_such(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [email("tell", to="attribute owner_email")])
    await run.result()
    assert script.path == [("tell", "sent", "to attribute owner_email")]
    history = [str(event) for event in (await run.fetch_history()).events]
    assert any("tell: email to attribute owner_email" in event for event in history)
