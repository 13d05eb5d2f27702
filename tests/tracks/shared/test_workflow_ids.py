import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.contacts.contact_fields import check_identifier, check_key
from tracks.shared.workflow_ids import MAX_WORKFLOW_ID, workflow_id


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
