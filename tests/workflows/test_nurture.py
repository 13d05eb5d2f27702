"""What a run does, on the time-skipping server with scripted activities."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.enums.v1 import EventType
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.contract import Decided, ReconcileCall, ResolvedWait, ResolveWaitCall, SendResult, StepCall
from tests.conftest import DevServer
from tests.workflows.scripted import SENT, Script, lasted, start, started
from tracks.program.program import Arm, Branch, Case, Effect, Exit, Jump, Repeat, Split, Wait, WaitDate, WaitFor
from tracks.program.run import AttributesChanged, EndSignal, EventSignal, Journey, ResolveMessage
from tracks.shared.wire import Clock

DAY = 86400.0
UNKNOWN = SendResult(outcome="unknown", message_id="m-1")


def email(step: str, **fields: str) -> Effect:
    return Effect(step=step, kind="email", **fields)


def happened(*matches: str, at: datetime | None = None, event_id: str = "e-1", **properties: str) -> EventSignal:
    return EventSignal(
        event_id=event_id, name="clicked", at=at or datetime.now(UTC), matches=matches, properties=properties
    )


WAIT_FOR_CLICK = (
    WaitFor(step="click", event="clicked", seconds=3 * DAY, timeout=3),
    email("thanks"),
    Jump(goto=4),
    email("reminder"),
)


async def test_steps_run_in_order_and_the_whole_path_reaches_the_books(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [email("hello"), Wait(step="pause", seconds=2 * DAY), email("again")])
    result = await run.result()
    assert (result.status, result.sent) == ("completed", {"email": 2})
    assert await lasted(run) >= timedelta(days=2)
    assert script.path == [("hello", "sent", ""), ("pause", "done", ""), ("again", "sent", "")]
    assert [call.occurrence for call in script.calls] == [1, 1]


async def test_an_event_in_time_takes_the_way_of_what_happened(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, WAIT_FOR_CLICK)
    await run.signal("event", happened("step:click", at=datetime.now(UTC) + timedelta(seconds=5)))
    await run.result()
    assert [call.step for call in script.calls] == ["thanks"]


async def test_silence_takes_the_way_of_the_timeout(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, WAIT_FOR_CLICK)
    await run.result()
    assert [call.step for call in script.calls] == ["reminder"]
    assert await lasted(run) >= timedelta(days=3)


@pytest.mark.parametrize(("since", "expected"), [("step", "reminder"), ("enrollment", "thanks"), ("hello", "thanks")])
async def test_look_back_decides_whether_an_event_before_the_wait_counts(
    client: Client, stack: AsyncExitStack, since: str, expected: str
) -> None:
    script = Script()

    async def click_while_sending(call: StepCall) -> None:
        if call.step == "hello":
            await run_started.wait()
            await run.signal("event", happened("step:click"))

    run_started = asyncio.Event()
    script.before_send = click_while_sending
    code = [
        email("hello"),
        Wait(step="pause", seconds=DAY),
        WaitFor(step="click", event="clicked", seconds=DAY, since=since, timeout=5),
        email("thanks"),
        Exit(step="bye"),
        email("reminder"),
    ]
    run = await started(stack, client, script, code)
    run_started.set()
    await run.result()
    assert [call.step for call in script.calls] == ["hello", expected]


@pytest.mark.parametrize(("behind", "expected"), [(3, "thanks"), (60, "reminder")])
async def test_an_event_told_by_a_clock_a_little_behind_ends_the_wait_that_it_came_amid(
    client: Client, stack: AsyncExitStack, behind: int, expected: str
) -> None:
    script = Script()
    run = await started(stack, client, script, WAIT_FOR_CLICK)
    await asyncio.sleep(0.3)
    await run.signal("event", happened("step:click", at=datetime.now(UTC) - timedelta(seconds=behind)))
    await run.result()
    assert [call.step for call in script.calls] == [expected]


async def test_a_goal_ends_a_thirty_day_wait_within_a_second(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY), email("never")])
    await asyncio.sleep(0.3)
    await run.signal("event", happened("goal"))
    result = await run.result()
    assert (result.status, result.reason) == ("converted", "goal")
    assert await lasted(run) < timedelta(seconds=2)
    assert script.path == [("long", "skipped", "the run ended")]


async def test_an_exit_rule_ends_the_run_with_its_reason(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY)])
    await run.signal("event", happened("exit:account-closed"))
    result = await run.result()
    assert (result.status, result.reason) == ("exited", "account-closed")


async def test_a_goal_cancels_the_retries_of_an_unreachable_provider(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"hello": [ApplicationError("down", type="ProviderUnavailable")]})
    tried = asyncio.Event()

    async def note_attempt(call: StepCall) -> None:
        tried.set()

    script.before_send = note_attempt
    run = await started(stack, client, script, [email("hello")])
    await tried.wait()
    await run.signal("event", happened("goal"))
    result = await run.result()
    assert result.status == "converted"
    assert script.path == [("hello", "skipped", "the run ended")]


async def test_an_attempt_that_fails_after_the_goal_says_that_the_run_ended(
    dev_server: DevServer, stack: AsyncExitStack
) -> None:
    """It runs on the dev server, because the time-skipping one never ends such an activity."""
    client = await dev_server.connect()
    script = Script(sends={"hello": [ApplicationError("down", type="ProviderUnavailable")]})
    tried, told = asyncio.Event(), asyncio.Event()

    async def hang(call: StepCall) -> None:
        tried.set()
        await told.wait()

    script.before_send = hang
    run = await started(stack, client, script, [email("hello")])
    await tried.wait()
    await run.signal("event", happened("goal"))
    while not await cancel_requested(run):
        await asyncio.sleep(0.05)
    told.set()
    assert (await run.result()).status == "converted"
    assert script.path == [("hello", "skipped", "the run ended")]


async def cancel_requested(run: WorkflowHandle[Any, Any]) -> bool:
    """Whether the run has requested the cancellation of its activity."""
    asked = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED
    return any(event.event_type == asked for event in (await run.fetch_history()).events)


async def test_repeated_and_odd_signals_are_counted_and_change_nothing(client: Client, stack: AsyncExitStack) -> None:
    run = await started(stack, client, Script(), [Wait(step="pause", seconds=DAY)])
    for _ in range(3):
        await run.signal("event", happened("step:click"))
    await run.signal("event", "not an event")
    await run.signal("nobody-knows-this", 1)
    result = await run.result()
    assert result.status == "completed"
    assert result.dropped == {"duplicate": 2, "malformed signal": 1, "unknown signal": 1}


async def test_an_event_matched_for_an_earlier_enrolment_of_the_same_contact_is_not_taken_for_this_one(
    client: Client, stack: AsyncExitStack
) -> None:
    run = await started(stack, client, Script(), [Wait(step="pause", seconds=DAY)])
    await run.signal("event", happened("goal").model_copy(update={"enrollment_id": "an-earlier-one"}))
    result = await run.result()
    assert (result.status, result.dropped) == ("completed", {"for another enrollment": 1})


@pytest.mark.parametrize("outcome", ["skipped", "failed"])
async def test_a_message_that_is_not_sent_does_not_stop_the_track(
    client: Client, stack: AsyncExitStack, outcome: str
) -> None:
    script = Script(sends={"hello": [SendResult(outcome=outcome, reason="suppressed")]})
    run = await started(stack, client, script, [email("hello"), email("again")])
    result = await run.result()
    assert result.sent == {"email": 1}
    assert script.path == [("hello", outcome, "suppressed"), ("again", "sent", "")]


async def test_a_provider_that_stays_down_fails_the_step_not_the_run(client: Client, stack: AsyncExitStack) -> None:
    down = ApplicationError("down", type="ProviderUnavailable", next_retry_delay=timedelta(hours=20))
    script = Script(sends={"hello": [down]})
    run = await started(stack, client, script, [email("hello"), email("again")])
    await run.result()
    assert script.path == [("hello", "failed", "ProviderUnavailable"), ("again", "sent", "")]


async def test_an_unknown_outcome_is_reconciled_before_the_run_goes_on(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN, UNKNOWN, SENT])
    run = await started(stack, client, script, [email("hello")])
    result = await run.result()
    assert result.sent == {"email": 1}
    assert script.asked == [ReconcileCall(message_id="m-1")] * 3
    assert len(script.calls) == 1


async def test_an_outcome_nobody_learns_is_assumed_sent_by_default(client: Client, stack: AsyncExitStack) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN] * 6 + [SENT])
    run = await started(stack, client, script, [email("hello")])
    await run.result()
    assert script.asked[-1] == ReconcileCall(message_id="m-1", settle="assume_sent")
    assert len(script.calls) == 1


async def test_resend_sends_again_only_after_the_whole_window(client: Client, stack: AsyncExitStack) -> None:
    again = SendResult(outcome="deferred", reason="resend")
    script = Script(sends={"hello": [UNKNOWN, SENT]}, reconciles=[UNKNOWN] * 6 + [again])
    run = await started(stack, client, script, [email("hello", on_unknown="resend")])
    await run.result()
    assert [call.occurrence for call in script.calls] == [1, 1]
    assert await lasted(run) >= timedelta(hours=8)


async def test_review_waits_for_an_operators_decision(
    client: Client, stack: AsyncExitStack, temporal_env: WorkflowEnvironment
) -> None:
    script = Script(sends={"hello": [UNKNOWN]}, reconciles=[UNKNOWN] * 6 + [SendResult(outcome="skipped")])
    run = await started(stack, client, script, [email("hello", on_unknown="review")])
    with pytest.raises(WorkflowUpdateFailedError):
        await run.execute_update("resolve_message", ResolveMessage(decision="sent"))
    await temporal_env.sleep(timedelta(days=1))
    journey = await run.query("journey", result_type=Journey)
    assert journey.state == "needs_review"
    assert await run.execute_update("resolve_message", ResolveMessage(decision="skip")) == "hello"
    await run.result()
    assert script.path == [("hello", "unknown", "being reconciled"), ("hello", "skipped", "")]


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


@pytest.mark.parametrize(
    ("reason", "ending"), [("ended", ("exited", "no longer enrolled")), ("goal", ("converted", "goal"))]
)
async def test_the_books_say_that_the_enrolment_is_over_and_the_run_stops(
    client: Client, stack: AsyncExitStack, reason: str, ending: tuple[str, str]
) -> None:
    script = Script(sends={"hello": [SendResult(outcome="ended", reason=reason)]})
    run = await started(stack, client, script, [email("hello"), email("again")])
    result = await run.result()
    assert (result.status, result.reason) == ending
    assert len(script.calls) == 1


async def test_a_branch_on_what_happened_is_decided_by_the_run_itself(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [
        WaitFor(step="click", event="clicked", seconds=DAY, since="enrollment", timeout=1),
        Branch(
            step="which",
            cases=(Case(when='event.properties.link == "pricing"', goto=2),),
            otherwise=4,
        ),
        email("pricing"),
        Exit(step="bye"),
        email("other"),
    ]
    run = await started(stack, client, script, code)
    await run.signal("event", happened("step:click", link="pricing"))
    await run.result()
    assert [call.step for call in script.calls] == ["pricing"]
    assert script.asked == []


async def test_a_branch_on_the_contact_is_decided_beside_the_data(client: Client, stack: AsyncExitStack) -> None:
    script = Script(branches={"role": 0})
    case = Case(when='contact.attributes.role == "engineer"', goto=2)
    code = [Branch(step="role", cases=(case,), otherwise=1, stored=True), Exit(step="bye"), email("engineer")]
    run = await started(stack, client, script, code)
    await run.result()
    assert [call.step for call in script.calls] == ["engineer"]


@pytest.mark.parametrize(
    ("when", "answer", "said"),
    [
        ("event.properties.link > 5", None, "`which` case-1 could not be decided and counts as false (type)"),
        ("event.properties.none > 5", None, None),
        ("contact.attributes.score > 5", Decided(taken=-1, notes=("`which` case-1: told",)), "`which` case-1: told"),
    ],
)
async def test_a_condition_that_could_not_be_computed_is_in_the_story(
    client: Client, stack: AsyncExitStack, when: str, answer: Decided | None, said: str | None
) -> None:
    script = Script() if answer is None else Script(branches={"which": answer})
    case = Case(when="" if answer else when, goto=3)
    code = [
        WaitFor(step="click", event="clicked", seconds=DAY, since="enrollment", timeout=1),
        Branch(step="which", cases=(case,), otherwise=2, stored=answer is not None),
        email("other"),
    ]
    run = await started(stack, client, script, code)
    await run.signal("event", happened("step:click", link="pricing"))
    await run.result()
    metadata = await run.query("__temporal_workflow_metadata", result_type=WorkflowMetadata)
    assert [call.step for call in script.calls] == ["other"]
    assert (said in metadata.current_details) if said else ("could not be decided" not in metadata.current_details)


async def test_a_split_gives_one_contact_the_same_arm_every_time(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    arms = (Arm(name="a", weight=50, goto=1), Arm(name="b", weight=50, goto=1))
    code = [Split(step="ab", arms=arms)]
    first = await started(stack, client, script, code)
    await first.result()
    second = await start(client, code)
    await second.result()
    names = [entry.detail for call in script.closed for entry in call.path if entry.step == "ab"]
    assert len(names) == 2
    assert names[0] == names[1]


async def test_a_year_of_weeks_survives_continue_as_new_forced_early(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [
        Repeat(step="weekly", times=52, end=4),
        Wait(step="week", seconds=7 * DAY),
        email("digest"),
        Jump(goto=0),
    ]
    run = await started(stack, client, script, code, continue_after=60)
    result = await run.result()
    assert result.sent == {"email": 52}
    assert [call.occurrence for call in script.calls] == list(range(1, 53))
    assert len(script.path) == 52 * 2 + 1
    assert [detail for step, _, detail in script.path if step == "weekly"] == ["52 rounds"]
    assert (await client.get_workflow_handle(run.id).describe()).run_id != run.first_execution_run_id


async def test_a_wait_longer_than_a_slice_ends_on_time_though_it_continued_as_new_amid_it(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script()
    begun = datetime.now(UTC)
    code = [Wait(step="long", seconds=100 * DAY), email("hello")]
    run = await started(stack, client, script, code, continue_after=5, clock=Clock(origin=begun))
    await run.result()
    waited = next(entry for entry in script.calls[0].path if entry.step == "long")
    assert timedelta(days=100) <= waited.at - begun < timedelta(days=100, minutes=1)
    assert script.calls[0].occurrence == 1


async def test_events_are_not_lost_or_doubled_across_continue_as_new(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [
        Wait(step="long", seconds=70 * DAY),
        WaitFor(step="click", event="clicked", seconds=DAY, since="enrollment", timeout=4),
        email("thanks"),
        Exit(step="bye"),
        email("reminder"),
    ]
    run = await started(stack, client, script, code, continue_after=5)
    await run.signal("event", happened("step:click"))
    result = await run.result()
    assert [call.step for call in script.calls] == ["thanks"]
    assert result.dropped == {}


async def test_a_missing_date_goes_the_way_the_step_names_and_sends_nothing(
    client: Client, stack: AsyncExitStack
) -> None:
    script = Script(moments=[ResolvedWait(outcome="missing")])
    code = [WaitDate(step="renewal", missing=2, past=1), email("renewal-mail"), Exit(step="bye", reason="no date")]
    run = await started(stack, client, script, code)
    result = await run.result()
    assert result.reason == "no date"
    assert script.calls == []
    assert script.path[0] == ("renewal", "skipped", "missing")


async def test_a_changed_date_moves_the_wait(client: Client, stack: AsyncExitStack) -> None:
    now = datetime.now(UTC)
    script = Script(
        moments=[
            ResolvedWait(outcome="at", at=now + timedelta(days=90)),
            ResolvedWait(outcome="at", at=now + timedelta(days=5)),
        ]
    )
    code = [WaitDate(step="renewal", missing=2, past=2), email("hello")]
    run = await started(stack, client, script, code)
    await asyncio.sleep(0.3)
    await run.signal("attributes_changed", AttributesChanged(change_id="a-1", names=("renewal_date",)))
    await run.result()
    assert timedelta(days=4) < await lasted(run) < timedelta(days=6)
    assert len([asked for asked in script.asked if isinstance(asked, ResolveWaitCall)]) == 2


async def test_a_paced_run_lives_a_day_in_a_second(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    origin = datetime.now(UTC)
    code = [Wait(step="month", seconds=30 * DAY), email("hello")]
    run = await started(stack, client, script, code, clock=Clock(origin=origin, pace=DAY))
    await run.result()
    assert timedelta(seconds=29) < await lasted(run) < timedelta(seconds=40)
    ended = script.calls[0].path[0].at
    assert timedelta(days=30) <= ended - origin < timedelta(days=40)


async def test_an_erased_contact_ends_the_run(client: Client, stack: AsyncExitStack) -> None:
    run = await started(stack, client, Script(), [Wait(step="long", seconds=30 * DAY)])
    await run.signal("end", EndSignal(reason="erased"))
    assert (await run.result()).reason == "erased"


async def test_a_cancelled_run_still_closes_its_books(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY)])
    await asyncio.sleep(0.3)
    await run.cancel()
    assert (await run.result()).reason == "cancelled by an operator"
    assert [call.reason for call in script.closed] == ["cancelled by an operator"]


async def test_an_operator_skips_a_wait(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    run = await started(stack, client, script, [Wait(step="long", seconds=30 * DAY), email("hello")])
    await asyncio.sleep(0.3)
    assert await run.execute_update("skip_wait") == "long"
    await run.result()
    assert await lasted(run) < timedelta(days=1)
    assert script.path[0] == ("long", "skipped", "by an operator")


async def test_runs_replay_without_a_cache(client: Client, stack: AsyncExitStack) -> None:
    script = Script()
    code = [email("hello"), Wait(step="a", seconds=DAY), Wait(step="b", seconds=DAY), email("bye")]
    run = await started(stack, client, script, code, max_cached_workflows=0)
    result = await run.result()
    assert result.sent == {"email": 2}
