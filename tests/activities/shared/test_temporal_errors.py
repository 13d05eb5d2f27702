from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.shared.temporal_errors import LONGEST_WITHOUT_DATABASE, without_details

AWAY = OperationalError("SELECT 'ann@people.test'", {}, OSError("connection refused"))


async def raised(error: Exception, attempt: int = 1, *, local: bool = False) -> ApplicationError:
    """The failure that Temporal gets from an activity with this error."""

    @without_details
    async def failing() -> None:
        raise error

    environment = ActivityEnvironment()
    environment.info = replace(environment.info, attempt=attempt, is_local=local)
    with pytest.raises(ApplicationError) as caught:
        await environment.run(failing)
    return caught.value


@pytest.mark.parametrize("attempt", [1, 2, 4, 9, 2000])
async def test_contacts_go_on_soon_after_the_database_is_back_and_not_all_at_once(attempt: int) -> None:
    least = min(timedelta(seconds=2 ** min(attempt - 1, 20)), LONGEST_WITHOUT_DATABASE)
    delays = {(await raised(AWAY, attempt)).next_retry_delay for _ in range(20)}
    assert all(delay is not None and least <= delay <= least * 1.5 for delay in delays)
    assert len(delays) > 10


async def test_a_local_activity_and_any_other_error_keep_their_retry_policy() -> None:
    assert (await raised(AWAY, 9, local=True)).next_retry_delay is None
    assert (await raised(KeyError("ann@people.test"), 9)).next_retry_delay is None


async def test_no_text_of_an_error_reaches_temporal() -> None:
    error = await raised(AWAY)
    assert (error.message, error.type, error.__cause__) == ("unexpected OperationalError", "OperationalError", None)


async def test_what_is_raised_on_purpose_stays_as_it_is() -> None:
    asked = ApplicationError("ses:Throttling", type="ProviderThrottled", next_retry_delay=timedelta(seconds=7))
    assert await raised(asked, 9) is asked
