"""A row of an import: where its values go, and everything that is wrong with it at once."""

from __future__ import annotations

import pytest

from tracks.imported import BadRowError, read_header, read_line, read_values


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
    _, problems = read_header(["mail", "", "plan", "attributes.plan", "properties."])
    assert problems == [
        "Column 2 has no name.",
        "Columns `plan` and `attributes.plan` are the same.",
        "Column 5 has no name.",
        "There is no column `contact_id`; say which holds your ids with `id_column`.",
    ]
    assert "at most 500" in read_header(["contact_id", *(f"a{n}" for n in range(501))])[1][0]


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


def test_null_in_json_removes_as_it_does_in_a_change_of_a_contact() -> None:
    row = read_line('{"contact_id": "u", "email": null, "attributes": {"a": null, "n": 3}}')
    assert row.model_fields_set == {"contact_id", "email", "attributes"}
    assert (row.email, row.attributes) == (None, {"a": None, "n": 3})
