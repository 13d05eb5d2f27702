import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.shared.personal_ids import looks_personal


@pytest.mark.parametrize("text", ["mira@example.com", "user:mira@example.com", "mira@host", " a@b.c "])
def test_an_email_address_is_no_id(text: str) -> None:
    assert "email address" in (looks_personal(text) or "")


@pytest.mark.parametrize(
    "text",
    ["+15005550006", "+49 30 123456", "tel:+15005550006", "004930123456", "415-555-2671", "(415) 555-2671",
     "4155552671", "14155552671", "447911123456", "030/123 456 78"],
)  # fmt: skip
def test_a_phone_number_is_no_id(text: str) -> None:
    assert "phone number" in (looks_personal(text) or "")


@pytest.mark.parametrize(
    "text",
    ["user-1042", "1042", "12345678", "123456789012345678", "0190f3a2-7c1b-7000-8000-1234567890ab", "acct_9",
     "2026-03-01", "550e8400e29b41d4a716446655440000", "c-4155552671", "1000000001", "1700000000000", "a@", "@b",
     "v1.2.3"],
)  # fmt: skip
def test_ids_of_a_system_are_fine(text: str) -> None:
    assert looks_personal(text) is None


@given(st.text(max_size=40))
def test_no_text_breaks_the_look(text: str) -> None:
    looks_personal(text)
