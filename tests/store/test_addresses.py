from __future__ import annotations

import pytest

from store.addresses import address_hash, normalise
from store.rows import Channel


@pytest.mark.parametrize(
    ("channel", "a", "b"),
    [
        ("email", " Ann@ACME.Test ", "ann@acme.test"),
        ("email", "ann@bücher.test", "ann@XN--BCHER-KVA.test"),
        ("email", "ann@acme.test.", "ann@acme.test"),
        ("email", "re\u0301ne@acme.test", "r\u00e9ne@acme.test"),
        ("sms", "+49 (151) 123-4567", "+491511234567"),
        ("sms", "0049 151 1234567", "tel:+491511234567"),
    ],
)
def test_spellings_of_one_address_are_one(channel: Channel, a: str, b: str) -> None:
    assert normalise(channel, a) == normalise(channel, b)
    assert address_hash(channel, a) == address_hash(channel, b)


@pytest.mark.parametrize("other", ["ann+news@acme.test", "a.nn@acme.test", "ann@acme.example", "nonsense", "@", ""])
def test_other_mailboxes_stay_other(other: str) -> None:
    assert normalise("email", other) != normalise("email", "ann@acme.test")


def test_same_text_on_two_channels_has_two_hashes() -> None:
    assert address_hash("email", "+15005550006") != address_hash("sms", "+15005550006")
