"""The activities that workers register."""

from __future__ import annotations

import pytest

from activities import contract
from activities.registry import Activities, build_activities
from store.engine.database import Database
from tests.activities.activity_runner import SandboxProviders


def test_every_activity_of_the_contract_is_served(activities: Activities) -> None:
    names = {
        constant
        for name, constant in vars(contract).items()
        if name.isupper() and name.partition("_")[0] not in ("QUEUE", "ERROR", "TASK")
    }
    served = [*activities.local, *activities.imports, *(m for methods in activities.by_queue.values() for m in methods)]
    assert {method.__name__ for method in served} == names


def test_an_unknown_message_is_reconciled_on_the_queue_that_sent_it(activities: Activities) -> None:
    for queue in (contract.QUEUE_EMAIL, contract.QUEUE_SMS):
        assert contract.RECONCILE_MESSAGE in {method.__name__ for method in activities.by_queue[queue]}


@pytest.mark.parametrize(
    ("wrong", "why"),
    [({"secret": "short"}, "at least 32 characters"), ({"public_url": "http://acme.test"}, "begin with https://")],
    ids=["secret", "links"],
)
async def test_production_refuses_what_is_good_enough_for_a_desk(
    db: Database, providers: SandboxProviders, wrong: dict[str, str], why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        build_activities(
            providers.settings(**{"environment": "production", "public_url": "https://a.test"} | wrong), db
        )
