"""The steps that choose a way: by conditions, or by chance."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
from temporalio.api.sdk.v1 import WorkflowMetadata
from temporalio.client import Client

from activities.contract import Decided
from tests.workflows.program_parts import DAY, clicked, email
from tests.workflows.scripted import Script, start, started
from tracks.runs.program import Arm, Branch, Case, Exit, Split, WaitFor


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
    await run.signal("event", clicked("step:click", link="pricing"))
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
    await run.signal("event", clicked("step:click", link="pricing"))
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
