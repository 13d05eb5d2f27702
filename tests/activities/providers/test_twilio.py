"""The Twilio adapter over the real wire protocol."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from activities.providers.ports import OutgoingSms
from activities.providers.provider_errors import ProviderError, Verdict
from activities.registry import build_providers
from tests.activities.activity_runner import SandboxProviders


def sms(**changes: str | None) -> OutgoingSms:
    number = f"+1555{uuid4().int % 10**7:07d}"
    given: dict[str, str | None] = {"message_id": "m-1", "sender": "+15005550006", "to": number, "body": "Hi"}
    return OutgoingSms(**(given | changes))  # type: ignore[arg-type]


async def test_a_sent_message_is_found_again(providers: SandboxProviders) -> None:
    twilio = build_providers(providers.settings()).sms
    message = sms()
    provider_id = await twilio.send(message)
    found = await twilio.find(message, datetime.now(UTC) - timedelta(minutes=1))
    assert [(one.provider_id, one.body) for one in found] == [(provider_id, "Hi")]
    assert await twilio.find(message, datetime.now(UTC) + timedelta(minutes=1)) == []
    await twilio.close()


@pytest.mark.parametrize(
    ("message", "verdict"),
    [(sms(to="not a number"), Verdict.GIVE_UP), (sms(to=""), Verdict.GIVE_UP), (sms(body=""), Verdict.GIVE_UP)],
    ids=["no number", "nobody", "no text"],
)
async def test_what_is_wrong_with_the_message_is_given_up(
    providers: SandboxProviders, message: OutgoingSms, verdict: Verdict
) -> None:
    twilio = build_providers(providers.settings()).sms
    with pytest.raises(ProviderError) as caught:
        await twilio.send(message)
    await twilio.close()
    assert caught.value.fault.verdict is verdict


@pytest.mark.parametrize("setting", [{"twilio_auth_token": "wrong"}, {"twilio_account_sid": ""}], ids=str)
async def test_wrong_credentials_wait_for_the_operator(providers: SandboxProviders, setting: dict[str, str]) -> None:
    twilio = build_providers(providers.settings(**setting)).sms
    with pytest.raises(ProviderError) as caught:
        await twilio.send(sms())
    await twilio.close()
    assert caught.value.fault.verdict is Verdict.RETRY
