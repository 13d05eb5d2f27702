import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.contacts.contact_fields import check_identifier, check_key
from tracks.shared.identifiers import MAX_WORKFLOW_ID, effect_key, looks_personal, workflow_id


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("trial-to-paid", "user-1042", None), "nurture/trial-to-paid/user-1042"),
        (("abandoned-cart", "user-1042", "cart-7"), "nurture/abandoned-cart/user-1042/cart-7"),
        (("t", "a/b", None), "nurture/t/a%2Fb"),
        (("t", "a", "b/c%"), "nurture/t/a/b%2Fc%25"),
        (("t", "Zoë", ""), "nurture/t/Zo%C3%AB/"),
    ],
)
def test_workflow_ids_keep_exactly_this_shape(parts: tuple[str, str, str | None], expected: str) -> None:
    assert workflow_id(*parts) == expected


def test_effect_keys_keep_exactly_this_shape() -> None:
    assert effect_key("0190-aa", "welcome", 3) == "0190-aa/welcome/3"


@given(st.text("|a:_-.", min_size=128, max_size=128), st.text("|9", min_size=128, max_size=128))
def test_ids_that_are_taken_always_fit_into_a_workflow_id(contact_id: str, key: str) -> None:
    """A key from an event's property may have any characters. Its length is checked when it arrives."""
    assert check_identifier(contact_id) and check_key(key)
    assert len(workflow_id("t" * 63, contact_id, key)) <= MAX_WORKFLOW_ID


enrolments = st.tuples(st.sampled_from(["t", "t-u"]), st.text(min_size=1, max_size=6), st.none() | st.text(max_size=6))


@given(enrolments, enrolments)
def test_different_enrolments_never_share_an_id(
    one: tuple[str, str, str | None], other: tuple[str, str, str | None]
) -> None:
    assert (workflow_id(*one) == workflow_id(*other)) == (one == other)


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
