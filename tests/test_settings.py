"""Configuration that is refused before anything is served."""

from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import SecretStr

from settings import RECEIVING, Settings

TOPIC = "arn:aws:sns:eu-west-1:111122223333:perennial-ses"


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({}, ["PERENNIAL_SNS_TOPIC_ARNS"]),
        ({"sns_topic_arns": ("",)}, ["PERENNIAL_SNS_TOPIC_ARNS"]),
        ({"sns_topic_arns": (TOPIC,), "sns_certificate_url": "http://a.test"}, ["PERENNIAL_SNS_CERTIFICATE_URL"]),
        (
            {"sns_certificate_url": "http://a.test"},
            ["PERENNIAL_SNS_TOPIC_ARNS", "PERENNIAL_SNS_CERTIFICATE_URL"],
        ),
        ({"sns_topic_arns": (TOPIC,)}, []),
    ],
)
def test_production_believes_named_topics_and_amazons_certificates_only(
    given: dict[str, Any], wrong: list[str]
) -> None:
    production = Settings(environment="production", **given)
    if not wrong:
        assert production.sns_believed == (None, (TOPIC,))
        return
    with pytest.raises(ValueError, match="in production") as refused:
        _ = production.sns_believed
    assert [
        name for name in ("PERENNIAL_SNS_TOPIC_ARNS", "PERENNIAL_SNS_CERTIFICATE_URL") if name in str(refused.value)
    ] == wrong


def test_all_that_production_refuses_is_told_at_once() -> None:
    wrong = Settings(
        environment="production",
        secret=SecretStr("short"),
        address_secret=SecretStr("short"),
        stripe_webhook_secret=SecretStr("whsec_a,sk_live_b"),
    )
    with pytest.raises(ValueError, match="in production") as refused:
        wrong.require(*RECEIVING)
    told = re.findall(r"PERENNIAL_[A-Z_]+", str(refused.value))
    assert told == [
        f"PERENNIAL_{name}"
        for name in ("SECRET", "ADDRESS_SECRET", "PUBLIC_URL", "SNS_TOPIC_ARNS", "STRIPE_WEBHOOK_SECRET")
    ]
    for need in RECEIVING:  # and each need alone
        with pytest.raises(ValueError, match="in production"):
            wrong.require(need)
    wrong.model_copy(update={"environment": "development"}).require(*RECEIVING)


def test_development_believes_the_sandbox() -> None:
    assert Settings(sns_certificate_url="http://127.0.0.1:4579").sns_believed == ("http://127.0.0.1:4579", ())


@pytest.mark.parametrize(
    ("secret", "installed", "wrong"),
    [
        ("", False, ""),
        ("whsec_a", True, ""),
        (" whsec_a, whsec_b,", True, ""),
        ("whsec_a", False, "needs Stripe's library: pip install '.[stripe]'"),
        ("whsec_a,b", True, "begin with whsec_"),
    ],
)
def test_production_takes_no_half_of_what_stripe_needs(
    monkeypatch: pytest.MonkeyPatch, secret: str, installed: bool, wrong: str
) -> None:
    monkeypatch.setattr(Settings, "stripe_installed", installed)
    production = Settings(environment="production", stripe_webhook_secret=SecretStr(secret))
    if not wrong:
        production.require("stripe")
    else:
        with pytest.raises(ValueError, match=re.escape(wrong)):
            production.require("stripe")
