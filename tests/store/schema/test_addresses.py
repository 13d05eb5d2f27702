from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from store.engine.database import Database
from store.engine.hash_secret import use_secret
from store.schema.addresses import HASH, address_hash, normalise
from store.schema.rows import Channel
from tracks.contacts.contact_fields import check_email, mail_form


@pytest.mark.parametrize(
    ("channel", "a", "b"),
    [
        ("email", " Ann@ACME.Test ", "ann@acme.test"),
        ("email", "ann@bücher.test", "ann@XN--BCHER-KVA.test"),
        ("email", "ann@straße.test", "ann@xn--strae-oqa.test"),
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


DOTS = ".\u3002\uff0e\uff61"
LABELS = st.text(
    st.characters(exclude_categories=["Cs", "Co", "Cn", "Cc"], exclude_characters=f"@{DOTS}"), min_size=1, max_size=12
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LABELS, min_size=1, max_size=3))
@example(["straße"])
@example(["βόλος"])  # ends in a letter that IDNA 2003 wrote as another one
@example(["नी\u200dका"])  # a joiner, which 2003 left out
@example(["\U0001e900"])  # newer than Unicode 3.2
def test_an_address_is_suppressed_in_the_form_in_which_mail_goes_to_it(labels: list[str]) -> None:
    address = f"ann@{'.'.join(labels)}.test"
    try:
        sent_to = mail_form(check_email(address))
    except ValueError:
        return  # nobody can be written to there
    assert sent_to.isascii()
    assert address_hash("email", sent_to) == address_hash("email", address)
    assert address_hash("email", sent_to) == address_hash("email", check_email(address))


ODD = ["ren\u00e9e@acme.test", "ann@b\u00fccher.test", "\u0130stanbul@acme.test", " ann@acme.test", "a\tb@acme.test"]


@pytest.mark.parametrize("secret", ["", "a secret"])
async def test_postgresql_hashes_an_address_as_python_does_or_says_that_it_cannot(
    postgres_url: str, secret: str
) -> None:
    use_secret(secret)
    db = Database(postgres_url, pool_size=1)
    try:
        await _hashed_alike(db)
    finally:
        use_secret("")
        await db.close()


async def _hashed_alike(db: Database) -> None:
    dice = random.Random(7)
    plain = "".join(map(chr, range(0x21, 0x7F)))
    emails = ["", ".", "@", "ann@acme.test.", "ANN@ACME.TEST", "a@b..", *ODD]
    emails += ["".join(dice.choices(plain + "@.", k=dice.randint(1, 20))) for _ in range(2000)]
    phones = ["", "+", "+0049151", "0049151", "+49 151", "+491511234567", "tel:+491", "+1\u0663", "+15005550006"]
    lists: tuple[tuple[Channel, list[str]], ...] = (("email", emails), ("sms", phones))
    for channel, addresses in lists:
        ask = {"channel": channel, "addresses": addresses}
        async with db.statement() as tx:
            found = (await tx.execute(HASHED, ask)).scalars().all()
        for address, known in zip(addresses, found, strict=True):
            assert known in (address_hash(channel, address) if address else "", None), address
            clear = address.isascii() and address.isprintable() and " " not in address
            assert channel == "sms" or (known is not None) is clear, address
        assert found[-1] is not None


HASHED = text(f"""
    SELECT {HASH} FROM unnest(CAST(:addresses AS text[])) WITH ORDINALITY AS a (address, ord)
    CROSS JOIN LATERAL (SELECT a.address AS email, a.address AS phone) c ORDER BY a.ord
""")
