"""A message to the salesperson goes to who got the contact's last handoff, by the policy of that moment."""

from __future__ import annotations

import pytest

from store.people.handoffs import answering
from store.runs.enrollments import enrollments
from tests.store.people.handoffs.handoff_calls import hand_over, leads, say, team
from tests.store.sending.claims import publish
from tests.store.store_calls import StoreCalls
from tracks.model.message_rules import MessageRules
from tracks.model.recipients import Recipient

TO = MessageRules(to=Recipient.model_validate({"salesperson": True}), transactional=True)
POLICY = """
sales:
  teams:
    sales: {people: [{id: ada, name: Ada, email: 'Ada <ada@acme.test>'}, {id: emil, name: Emil}]}
    support: {people: [{id: eve, name: Eve, email: eve@acme.test}]}
  reject_reasons: {wrong-time: Not now}
"""


@pytest.fixture
async def run_id(store: StoreCalls) -> str:
    await publish(store, POLICY)
    return (await leads(store)).id


async def address(store: StoreCalls, run_id: str, step: str) -> tuple[str, str]:
    claim = await store.claim(run_id, step=step, rules=TO, to=TO.to)
    return claim.address, claim.reason


async def test_it_is_the_last_handoffs_salesperson_whose_mailbox_the_policy_names(
    store: StoreCalls, run_id: str
) -> None:
    assert await address(store, run_id, "one") == ("", "no address")
    async with store.db.transaction() as tx:
        found = await enrollments.get(tx, run_id)
    assert found is not None
    made = await hand_over(store, found, team({"id": "ada"}))
    assert made is not None
    assert await address(store, run_id, "two") == ("ada@acme.test", "")
    await say(store, made, "accepted")
    await hand_over(store, found, team({"id": "eve"}), occurrence=2, name="support")
    assert await address(store, run_id, "three") == ("eve@acme.test", "")
    await hand_over(store, found, team({"id": "emil"}), occurrence=3)
    assert await address(store, run_id, "four") == ("", "no address")
    async with store.db.transaction() as tx:
        await answering.settle(tx, f"{run_id}/sales/3", "failed")
    assert await address(store, run_id, "five") == ("eve@acme.test", "")
    await publish(store, "topics: {tips: {name: Tips}}")
    assert await address(store, run_id, "six") == ("", "no address")
