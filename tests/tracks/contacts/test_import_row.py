"""A row of an import: where its values are stored, and all its errors at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.contacts.import_row import FIELDS, BadRowError, read_header, read_line, read_values


def test_columns_say_where_values_go_and_empty_ones_leave_what_is_there() -> None:
    names = ["id", "email", " plan ", "attributes.role", "properties.cart", "key"]
    columns, problems = read_header(names, "id")
    assert problems == []
    row = read_values(["user-1", "", "007", "engineer", "c-9", "k-1"], columns)
    assert row.model_dump(exclude_unset=True) == {
        "contact_id": "user-1",
        "attributes": {"plan": "007", "role": "engineer"},
        "properties": {"cart": "c-9"},
        "key": "k-1",
    }


def test_all_that_is_wrong_with_a_header_is_said_at_once() -> None:
    _, problems = read_header(["letters", "", "plan", "attributes.plan", "properties."])
    assert problems == [
        "Column 2 has no name.",
        "Columns `plan` and `attributes.plan` are the same.",
        "Column 5 has no name.",
        "There is no column `contact_id`; say which holds your ids with `id_column`.",
    ]
    assert "at most 500" in read_header(["contact_id", *(f"a{n}" for n in range(501))])[1][0]


@given(st.sampled_from(FIELDS), st.data(), st.sampled_from(["", " ", "\ufeff", "\u00a0", "\u200b ", "\ufeff\ufeff"]))
def test_a_field_is_known_in_any_case_and_whatever_stands_around_it(
    name: str, data: st.DataObject, around: str
) -> None:
    written = "".join(letter.upper() if data.draw(st.booleans()) else letter for letter in name)
    names = [around + written + around, *(["contact_id"] if name != "contact_id" else [])]
    assert read_header(names)[0][0] == (name,)
    assert read_header(names)[1] == []


def test_an_address_given_in_two_spellings_is_given_twice() -> None:
    assert read_header(["contact_id", "email", "Email"])[1] == ["Columns `email` and `Email` are the same."]


def test_the_column_of_the_ids_is_the_one_that_is_written_so_or_else_in_another_case() -> None:
    assert read_header(["id", "ID"], "ID") == ([("attributes", "id"), ("contact_id",)], [])
    assert read_header(["Id"], "ID") == ([("contact_id",)], [])
    assert read_header(["id", "contact_id"], "id") == ([("contact_id",), ("attributes", "contact_id")], [])


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("E-Mail", "email"),
        ("e mail", "email"),
        ("Email Address", "email"),
        ("email_address", "email"),
        ("E-Mail-Adresse", "email"),
        ("mail", "email"),
        ("Person - Email", "email"),
        ("Mobile", "phone"),
        ("Telephone number", "phone"),
        ("Phone Number", "phone"),
        ("phone-number", "phone"),
        ("Time Zone", "timezone"),
        ("time_zone", "timezone"),
    ],
)
def test_a_column_that_looks_like_a_field_is_refused_until_it_is_named_as_one_or_as_an_attribute(
    name: str, field: str
) -> None:
    said = f"Column `{name}`: did you mean `{field}`? As an attribute, name it `attributes.{name}`."
    assert read_header(["contact_id", name])[1] == [said]
    assert read_header(["contact_id", f"attributes.{name}"]) == ([("contact_id",), ("attributes", name)], [])
    assert read_header(["contact_id", field, name])[1] == []
    assert read_header(["Contact ID"])[1][-1].startswith("Column `Contact ID`: did you mean `contact_id`?")


def test_where_values_go_may_be_written_in_any_case_and_their_own_names_may_not() -> None:
    columns, _ = read_header(["contact_id", "Attributes.Plan", "PROPERTIES.cart", "Plan"])
    assert columns == [("contact_id",), ("attributes", "Plan"), ("properties", "cart"), ("attributes", "Plan")]
    assert read_header(["contact_id", "plan", "Plan"])[1] == []


def test_all_that_is_wrong_with_a_row_is_said_at_once_with_its_column() -> None:
    columns, _ = read_header(["contact_id", "email", "timezone", "plan"])
    with pytest.raises(BadRowError) as caught:
        read_values(["user-1", "ada@", "Zurich", "pro"], columns)
    assert [(wrong.field, wrong.reason) for wrong in caught.value.wrong] == [
        ("email", "There must be something after the @-sign."),
        ("timezone", "is not an IANA time zone such as Europe/Zurich"),
    ]
    assert caught.value.contact_id == "user-1"


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        (["user-1"], "", "has 1 values where the header has 2"),
        (["", "ada@example.com"], "contact_id", "Field required"),
        (["user-1", "a\x00da@example.com"], "email", "A text may not contain a NUL character"),
    ],
)
def test_a_row_of_csv_that_cannot_be_taken_says_why(values: list[str], field: str, reason: str) -> None:
    columns, _ = read_header(["contact_id", "email"])
    with pytest.raises(BadRowError) as caught:
        read_values(values, columns)
    [wrong] = caught.value.wrong
    assert (wrong.field, wrong.reason[: len(reason)]) == (field, reason)


def test_an_id_that_is_an_address_is_not_kept_with_the_problem() -> None:
    columns, _ = read_header(["contact_id"])
    with pytest.raises(BadRowError) as caught:
        read_values(["ada@example.com"], columns)
    assert caught.value.contact_id is None
    assert "ada@" not in caught.value.wrong[0].reason


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("[1]", [""]),
        ("{", [""]),
        ('{"contact_id": "u", "mail": "x", "phone": "12"}', ["/phone", "/mail"]),
        ('{"contact_id": "u", "attributes": {"a": 1e999, "b": "\\ud800"}}', ["/attributes/a", "/attributes/b"]),
    ],
)
def test_a_line_of_json_that_cannot_be_taken_says_where(text: str, fields: list[str]) -> None:
    with pytest.raises(BadRowError) as caught:
        read_line(text)
    assert [wrong.field for wrong in caught.value.wrong] == fields


def test_a_name_of_json_that_is_no_field_says_which_was_meant() -> None:
    with pytest.raises(BadRowError) as caught:
        read_line('{"contact_id": "u", "Email": "ada@example.com"}')
    assert [wrong.reason for wrong in caught.value.wrong] == ["is not a field of a row; did you mean 'email'?"]


def test_null_in_json_removes_as_it_does_in_a_change_of_a_contact() -> None:
    row = read_line('{"contact_id": "u", "email": null, "attributes": {"a": null, "n": 3}}')
    assert row.model_fields_set == {"contact_id", "email", "attributes"}
    assert (row.email, row.attributes) == (None, {"a": None, "n": 3})
