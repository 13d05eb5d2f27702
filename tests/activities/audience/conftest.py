"""A receiver of segments, and what sends to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest_asyncio

from activities.audience.segment_webhooks import SegmentWebhooks
from activities.providers.webhooks import SignedWebhooks
from tests.activities.audience.audience_receiver import AudienceReceiver, receiver
from tests.store.store_calls import StoreCalls


@pytest_asyncio.fixture
async def store(db: Any) -> StoreCalls:
    return StoreCalls(db)


@pytest_asyncio.fixture
async def there() -> AsyncIterator[AudienceReceiver]:
    async with receiver() as one:
        yield one


@pytest_asyncio.fixture
async def sender(db: Any) -> AsyncIterator[SegmentWebhooks]:
    caller = SignedWebhooks(secret="", timeout=timedelta(seconds=1))
    yield SegmentWebhooks(db, caller)
    await caller.close()
