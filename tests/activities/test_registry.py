"""The activities that workers serve."""

from __future__ import annotations

import pytest

from activities import contract
from activities.registry import Activities, build_activities
from store.database import Database
from tests.activities.world import Outside


def test_every_activity_of_the_contract_is_served(activities: Activities) -> None:
    names = {
        constant
        for name, constant in vars(contract).items()
        if name.isupper() and name.partition("_")[0] not in ("QUEUE", "ERROR", "TASK")
    }
    served = [*activities.local, *(m for methods in activities.by_queue.values() for m in methods)]
    assert {method.__name__ for method in served} == names


def test_an_unknown_message_is_reconciled_on_the_queue_that_sent_it(activities: Activities) -> None:
    for queue in (contract.QUEUE_EMAIL, contract.QUEUE_SMS):
        assert contract.RECONCILE_MESSAGE in {method.__name__ for method in activities.by_queue[queue]}


async def test_production_wants_a_secret_that_is_one(db: Database, outside: Outside) -> None:
    with pytest.raises(ValueError, match="at least 32 characters"):
        build_activities(outside.settings(environment="production", secret="short"), db)
