"""Providers fail at every point of a send. Afterwards ledger and provider agree: no message is doubled or lost."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from typing import Any

import pytest
from pydantic import SecretStr
from temporalio.exceptions import ApplicationError

from activities.contract import SendResult
from activities.registry import Activities
from api.app import create_app
from settings import Settings
from store.engine.database import Database
from tests.activities.activity_runner import ActivityRunner, SandboxProviders
from tests.api.server import serve

SEED = 20261121
MESSAGES = 36
FAULTS = ("latency", "429", "500", "500_after", "drop_before", "drop_after")
CHANNELS = {"hello": ("email", "ses"), "nudge": ("sms", "twilio")}


class Sending:
    """The calls that a run makes for one message, without its waits."""

    def __init__(self, runner: ActivityRunner, step: str, policy: str, faults: list[str]) -> None:
        self.runner, self.step, self.policy, self.faults = runner, step, policy, faults
        self.channel, self.provider = CHANNELS[step]
        self.tries = 0

    @property
    def address(self) -> str:
        return self.runner.email if self.channel == "email" else self.runner.phone

    async def perform(self) -> SendResult:
        """Send until the message is settled. A worker that dies during a call makes Temporal try the activity again."""
        for kind in self.faults:
            self.runner.providers.fault(self.provider, kind, seconds=1.0, match=self.address.lstrip("+"))
        while True:
            self.tries += 1
            try:
                result = await self.runner.send(self.step, attempt=self.tries)
            except ApplicationError:
                continue  # certainly not sent: Temporal tries again
            if result.outcome == "unknown":
                result = await self._reconcile(result)
            if result.outcome != "deferred":
                return result

    async def _reconcile(self, result: SendResult) -> SendResult:
        await self.quiet()
        for settle in ("", self.policy):
            try:
                result = await self.runner.reconcile(result, settle)
            except ApplicationError:
                continue
            if result.outcome != "unknown":
                break
        return result

    async def quiet(self) -> None:
        """Wait for the provider's callback. It comes some time after the provider accepted the message."""
        begun = time.monotonic()
        while (await self.runner.message(self.channel)).status != "sent":  # type: ignore[arg-type]
            if time.monotonic() - begun > 2.5 and not self.runner.providers.accepted(self.address, self.channel):
                return
            assert time.monotonic() - begun < 30, "the provider has it and never said so"
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("policy", ["resend", "assume_sent"])
async def test_none_is_doubled_and_none_is_lost(
    db: Database, activities: Activities, providers: SandboxProviders, settings: Settings, policy: str
) -> None:
    chance = random.Random(f"{SEED} {policy}")
    here = settings.model_copy(
        update={
            "sns_certificate_url": providers.sandbox.url,
            "twilio_auth_token": SecretStr(providers.sandbox.twilio_auth_token),
        }
    )
    sendings = []
    for number in range(MESSAGES // 2):
        runner = ActivityRunner(db, activities, providers)
        await runner.begin()
        faults = [chance.choice(FAULTS) for _ in range(number % 4)]
        sendings.append(Sending(runner, ("hello", "nudge")[number % 2], policy, faults))
    async with serve(create_app(here, db), providers.sandbox.callback_port):
        results = await asyncio.gather(*(sending.perform() for sending in sendings))
        await asyncio.gather(*(sending.quiet() for sending in sendings))
    wrong: list[Any] = []
    ends: Counter[str] = Counter()
    for sending, result in zip(sendings, results, strict=True):
        row = await sending.runner.message(sending.channel)  # type: ignore[arg-type]
        taken = len(providers.accepted(sending.address, sending.channel))
        ends[f"{result.outcome} {row.reason}".strip()] += 1
        if policy == "resend":
            good = (row.status, taken) == ("sent", 1)
        else:  # `assume_sent` prefers a lost message to a doubled one, and says so
            good = (row.status, taken) == ("sent", 1) or (row.reason, taken) == ("assumed", 0)
        if not good:
            wrong.append((sending.channel, sending.faults, row.status, row.reason, taken))
    assert wrong == [], ends
    assert any(sending.tries > 1 for sending in sendings)
