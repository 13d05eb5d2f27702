"""Signed links: they name a message, and nobody else can make one."""

from __future__ import annotations

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.shared import link_tokens

MESSAGE = "01890a5d-ac96-774b-bcce-b302099a8057"


@given(st.uuids(), st.text(min_size=1))
def test_a_token_names_its_message(message: UUID, secret: str) -> None:
    assert link_tokens.verify(secret, link_tokens.sign(secret, str(message))) == str(message)


def test_the_exact_form_is_kept_for_mail_that_is_already_out() -> None:
    assert (
        link_tokens.unsubscribe_url("https://acme.test/", "secret", MESSAGE)
        == f"https://acme.test/u/{link_tokens.sign('secret', MESSAGE)}"
    )
    assert link_tokens.sign("secret", MESSAGE) == "AYkKXayWd0u8zrMCCZqAV7IjW2jw1UQvX9Ul2g"


@given(st.integers(min_value=0, max_value=37), st.sampled_from("ABCxyz019-_"))
def test_a_changed_token_is_worth_nothing(at: int, letter: str) -> None:
    token = link_tokens.sign("secret", MESSAGE)
    changed = token[:at] + letter + token[at + 1 :]
    assert link_tokens.verify("secret", changed) == (MESSAGE if changed == token else None)


@given(st.text())
def test_any_text_is_answered_without_an_error(token: str) -> None:
    assert link_tokens.verify("secret", token) is None


def test_another_secret_is_not_believed() -> None:
    assert link_tokens.verify("other", link_tokens.sign("secret", MESSAGE)) is None


def test_only_a_uuid_is_signed() -> None:
    with pytest.raises(ValueError):
        link_tokens.sign("secret", "m-1")


@given(st.uuids(), st.text(min_size=1))
def test_a_confirmation_is_good_for_nothing_else(message: UUID, secret: str) -> None:
    url = link_tokens.confirm_url("https://acme.test/", secret, str(message))
    token = url.removeprefix("https://acme.test/confirm/")
    assert link_tokens.verify_confirm(secret, token) == str(message)
    assert link_tokens.verify(secret, token) is None
    assert link_tokens.verify_confirm(secret, link_tokens.sign(secret, str(message))) is None


@given(st.text())
def test_any_text_is_no_confirmation(token: str) -> None:
    assert link_tokens.verify_confirm("secret", token) is None


@given(st.uuids(), st.integers(min_value=0, max_value=link_tokens.MAX_NUMBER), st.text(min_size=1))
def test_a_click_token_names_its_message_and_link_and_opens_nothing_else(message: UUID, number: int, key: str) -> None:
    url = link_tokens.click_url("https://acme.test/", key, str(message), number)
    base, _, token = url.rpartition("/")
    assert (base, len(url)) == ("https://acme.test/c", len("https://acme.test") + link_tokens.TRACKED_LENGTH)
    assert link_tokens.verify_click(key, token) == (str(message), number)
    assert link_tokens.verify_click(key + "x", token) is None
    assert link_tokens.verify(key, token) is None and link_tokens.verify_open(key, token) is None


@given(st.uuids(), st.text(min_size=1))
def test_the_pictures_token_names_its_message_and_opens_nothing_else(message: UUID, key: str) -> None:
    base, _, token = link_tokens.open_url("https://acme.test", key, str(message)).rpartition("/")
    assert base == "https://acme.test/o"
    assert link_tokens.verify_open(key, token) == str(message)
    assert link_tokens.verify(key, token) is None and link_tokens.verify_click(key, token) is None


@given(st.integers(min_value=0, max_value=35), st.sampled_from("ABCxyz019-_"))
def test_no_character_of_a_click_token_can_be_changed(at: int, letter: str) -> None:
    token = link_tokens.click_url("", "secret", MESSAGE, 7)[len("/c/") :]
    changed = token[:at] + letter + token[at + 1 :]
    assert link_tokens.verify_click("secret", changed) == ((MESSAGE, 7) if changed == token else None)


@given(st.text())
def test_any_text_for_a_token_is_answered_without_an_error(token: str) -> None:
    assert link_tokens.verify_click("secret", token) is None and link_tokens.verify_open("secret", token) is None
