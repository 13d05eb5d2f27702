"""The formats of identifiers, addresses and zones."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.http import fields
from tests.api.client import Api
from tracks.contacts.contact_fields import mail_form
from tracks.content.templates.locales import canonical


@pytest.mark.parametrize("value", ["user_1042", "auth0|5f7c8ec7", "0190f3c2-7b1e-7c3a-9f8e-2b1d4c6a8e90", "42", "a"])
def test_plain_ids_pass(value: str) -> None:
    assert fields.check_identifier(value) == value


@pytest.mark.parametrize(("value", "why"), [("ada@example.com", "email"), ("+41446681800", "phone")])
def test_an_id_that_would_give_the_person_away_is_refused_with_the_reason(value: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fields.check_identifier(value)


@pytest.mark.parametrize("value", ["", "x" * 129, ".", "..", "a/b", "a b", "a\n", "é", "a%2fb"])
def test_an_id_that_no_path_or_workflow_id_could_hold_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        fields.check_identifier(value)


@pytest.mark.parametrize(
    ("value", "normalised"),
    [
        ("Ada@EXAMPLE.com", "Ada@example.com"),
        ("ada@acme.test", "ada@acme.test"),
        ("ada@xn--bcher-kva.example.com", "ada@xn--bcher-kva.example.com"),
        ("ada@BÜCHER.example.com", "ada@bücher.example.com"),
        (" ada@acme.test\t", "ada@acme.test"),
        ("\ufeffada@acme.test\u200b\n", "ada@acme.test"),
        ("a" * 64 + "@acme.test", "a" * 64 + "@acme.test"),
        ("o'hara+x_y=1@acme.test", "o'hara+x_y=1@acme.test"),
    ],
)
def test_an_address_is_normalised(value: str, normalised: str) -> None:
    assert fields.check_email(value) == normalised


@pytest.mark.parametrize(
    "value", ["", "ada", "ada@", "@acme.test", "a b@acme.test", "ada@localhost", "x" * 300, "a" * 65 + "@acme.test"]
)
def test_what_is_no_address_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        fields.check_email(value)


@pytest.mark.parametrize("value", ["dörte@acme.test", "o\u2019hara@acme.test", "アダ@acme.test"])
def test_what_no_mail_could_be_sent_to_is_refused_but_may_be_suppressed(value: str) -> None:
    with pytest.raises(
        ValueError, match=f"ASCII characters only before the @, not {next(x for x in value if x > '~')}"
    ):
        fields.check_email(value)
    assert fields.check_any_email(f" {value}") == value


@given(st.emails(), st.text(" \t\n\u00a0\u200b\ufeff", max_size=3), st.text(" \r\u200e\u2069", max_size=3))
def test_what_stands_around_an_address_is_no_part_of_it(address: str, before: str, after: str) -> None:
    try:
        alone = fields.check_email(address)
    except ValueError:
        return
    assert fields.check_email(before + address + after) == alone
    assert mail_form(alone).isascii()


@pytest.mark.parametrize(
    "value",
    [
        "+41 44 668 18 00",
        " +41446681800 ",
        "\u202a+41 44 668 18 00\u202c",
        "+41-44-668-1800",
        "+41446681800",
        "tel:+41-44-668-18-00",
    ],
)
def test_a_number_becomes_e164(value: str) -> None:
    assert fields.check_phone(value) == "+41446681800"


@pytest.mark.parametrize("value", ["", "044 668 18 00", "+", "+41", "ring me", "+999123456789"])
def test_what_is_no_number_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        fields.check_phone(value)


def test_every_zone_of_the_database_passes() -> None:
    for zone in zoneinfo.available_timezones() - {"Factory", "localtime", "posixrules"}:
        assert fields.check_zone(zone) == zone


@pytest.mark.parametrize(
    "value", ["", "Mars/Olympus", "europe/zurich", "../../etc/passwd", "+02:00", "Factory", "localtime"]
)
def test_what_is_no_zone_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        fields.check_zone(value)


def test_a_language_tag_gets_hyphens() -> None:
    assert fields.check_locale("de_CH") == "de-CH"


@pytest.mark.parametrize(
    ("value", "language"),
    [
        ("pt_BR.UTF-8", "pt-BR"),
        ("en_US.utf8", "en-US"),
        ("ja.eucJP", "ja"),
        ("de_DE.ISO-8859-15@euro", "de-DE"),
        ("ca_ES@valencia", "ca-ES"),
        ("sr_RS.UTF-8@latin", "sr-Latn-RS"),
        ("sr_Latn_RS@latin", "sr-Latn-RS"),
    ],
)
def test_a_locale_of_posix_is_the_language_it_names(value: str, language: str) -> None:
    assert fields.check_locale(value) == language
    assert canonical(language) == language


@pytest.mark.parametrize("value", ["", "C", "C.UTF-8", ".UTF-8", "de@example.com", "pt_BR.", "de@", "x" * 40])
def test_what_names_no_language_is_refused(value: str) -> None:
    with pytest.raises(ValueError):
        fields.check_locale(value)


@given(st.text(), st.sampled_from([fields.check_email, fields.check_phone, fields.check_zone, fields.check_locale]))
def test_no_text_breaks_a_check(value: str, check: type[str]) -> None:
    try:
        check(value)
    except ValueError:
        pass


zones = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(timezones=zones))
def test_a_moment_is_utc_and_never_in_the_future(moment: datetime) -> None:
    try:
        checked = fields.check_moment(moment)
    except ValueError:
        assert moment < datetime(1970, 1, 1, tzinfo=UTC)
    else:
        assert checked.tzinfo is UTC
        assert checked <= datetime.now(UTC)
        assert checked <= moment


@pytest.mark.parametrize("written", [0, 1.5, "0", "1800000000", "1800000000000", True, "2027-03-01", "", []])
async def test_a_moment_is_a_written_date_and_time_with_an_offset(api: Api, written: object) -> None:
    await api.contact("user-1")
    told = await api.event("user-1", "trial.started", occurred_at=written)
    paused = await api.call("POST", "/v1/contacts/user-1/pause", json={"until": written})
    for answer, pointer in ((told, "#/occurred_at"), (paused, "#/until")):
        assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, pointer)


async def test_a_moment_with_an_offset_is_taken(api: Api) -> None:
    await api.contact("user-1")
    for written in ("2026-11-21T12:00:00Z", "2026-11-21T12:00:00.123+01:00", "2026-11-21 12:00:00Z"):
        assert (await api.event("user-1", "trial.started", occurred_at=written)).status_code == 202
