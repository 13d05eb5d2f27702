"""A row of an import: what it may hold, in CSV and in JSON Lines, and everything that is wrong with it.

A row holds the fields of a contact, as in `PUT /v1/contacts/{contact_id}`, with the contact's id and the key and
properties of the enrollment. The columns of a CSV file say where each value goes. An empty value changes nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, from_json

from tracks.contacts.contact_fields import (
    Email,
    Identifier,
    Locale,
    Object,
    ObjectKey,
    Phone,
    Zone,
    check_object,
    unstorable,
)
from tracks.shared.problems import meant

CONTACT_ID = "contact_id"
FIELDS = (CONTACT_ID, "email", "phone", "timezone", "locale", "key")
MAPS = ("attributes", "properties")

_LOOKS_LIKE = {
    **{name.replace("_", ""): name for name in FIELDS},
    "mail": "email",
    **dict.fromkeys(("mobile", "mobilephone", "cell", "cellphone", "telephone", "tel"), "phone"),
}
_KIND_OF_NAME = re.compile(r"(address|adresse|number|nummer)$")
_INVISIBLE = "\ufeff\u200b\u200e\u200f\u2060"
"""Invisible characters that spreadsheets leave around a name: byte order mark, zero-width space, direction marks."""

Column = tuple[str, ...]
"""The field for a column's values: `("email",)`, or `("attributes", "plan")`."""


class Row(BaseModel):
    """One row. As in a change of a contact, a field that is left out stays, and null removes a field."""

    model_config = ConfigDict(extra="forbid")

    contact_id: Identifier
    email: Email | None = None
    phone: Phone | None = None
    timezone: Zone | None = None
    locale: Locale | None = None
    attributes: Object = {}
    key: ObjectKey | None = None
    properties: Object = {}


@dataclass(frozen=True, slots=True)
class Wrong:
    """One thing that is wrong with a row: the column or JSON pointer, and why."""

    field: str
    reason: str


class BadRowError(ValueError):
    """An invalid row: all its problems, and the id of its contact if the row has a valid one."""

    def __init__(self, wrong: Sequence[Wrong], contact_id: str | None = None) -> None:
        super().__init__(f"{len(wrong)} things are wrong")
        self.wrong, self.contact_id = tuple(wrong), contact_id


def read_header(names: Sequence[str], id_column: str = CONTACT_ID) -> tuple[list[Column], list[str]]:
    """The columns of a CSV file's first row, and all problems with them.

    The names of fields, and the prefixes `attributes.` and `properties.`, may be written in any case.
    """
    columns: list[Column] = []
    problems: list[str] = []
    seen: dict[Column, str] = {}
    written = [name.strip().strip(_INVISIBLE).strip() for name in names]
    if id_column not in written:  # an exact match wins; otherwise the case is ignored
        id_column = next((name for name in written if name.casefold() == id_column.casefold()), id_column)
    for place, name in enumerate(written, 1):
        column = _column(name, id_column)
        columns.append(column)
        if not name or not column[-1]:
            problems.append(f"Column {place} has no name.")
        elif column in seen:
            problems.append(f"Columns `{seen[column]}` and `{name}` are the same.")
        seen.setdefault(column, name)
    if (CONTACT_ID,) not in seen:
        problems.append(f"There is no column `{id_column}`; say which holds your ids with `id_column`.")
    problems += _misspelt(columns, seen)
    for kind in MAPS:
        try:
            check_object({column[1]: None for column in columns if column[0] == kind and column[-1]})
        except ValueError as error:
            problems.append(f"The names of {kind} {error}." if "at most" in str(error) else f"Of {kind}, {error}.")
    return columns, problems


def _column(name: str, id_column: str) -> Column:
    if name == id_column:
        return (CONTACT_ID,)
    if name.casefold() in FIELDS and name.casefold() != CONTACT_ID:
        return (name.casefold(),)
    kind, dot, rest = name.partition(".")
    return (kind.casefold(), rest) if dot and kind.casefold() in MAPS else ("attributes", name)


def _misspelt(columns: Sequence[Column], seen: Mapping[Column, str]) -> list[str]:
    """Attribute columns that look like a field which no column gives. Such an import would enrol everybody, but
    nobody would have an address."""
    problems = []
    for column in columns:
        plain = _KIND_OF_NAME.sub("", re.sub(r"[\W_]", "", column[-1].casefold()))
        field = "email" if plain.endswith("email") else _LOOKS_LIKE.get(plain)
        if column[0] == "attributes" and field and (field,) not in seen and seen[column] == column[-1]:
            problems.append(
                f"Column `{column[-1]}`: did you mean `{field}`? As an attribute, name it `attributes.{column[-1]}`."
            )
    return problems


def read_values(values: Sequence[str], columns: Sequence[Column]) -> Row:
    """A row of CSV. Raises `BadRowError` with all its problems."""
    if len(values) != len(columns):
        raise BadRowError([Wrong("", f"has {len(values)} values where the header has {len(columns)}")])
    row: dict[str, Any] = {}
    for column, value in zip(columns, values, strict=True):
        if not value:
            continue
        if len(column) == 1:
            row[column[0]] = value.strip()
        else:
            row.setdefault(column[0], {})[column[1]] = value
    return _checked(row, lambda place: ".".join(map(str, place)))


def read_line(text: str) -> Row:
    """A row of JSON Lines. Raises `BadRowError` with all its problems."""
    try:
        row = from_json(text)
    except ValueError:
        try:
            row = json.loads(text)  # accepts lone surrogates, so that the problem can name their place
        except (ValueError, RecursionError):
            raise BadRowError([Wrong("", "is not JSON")]) from None
    if not isinstance(row, dict):
        raise BadRowError([Wrong("", "is not a JSON object")])
    return _checked(row, lambda place: "".join(f"/{part}" for part in place))


def _checked(row: Mapping[str, Any], name: Any) -> Row:
    wrong = [Wrong(name(place), reason) for place, reason in unstorable(row)]
    if not wrong:
        try:
            return Row.model_validate(row)
        except ValidationError as error:
            wrong = [Wrong(name(one["loc"]), _reason(one)) for one in error.errors()]
    raise BadRowError(wrong, _whose(row))


def _reason(error: ErrorDetails) -> str:
    if error["type"] == "extra_forbidden":
        return f"is not a field of a row{meant(error['loc'][-1], list(Row.model_fields))}"
    return str(error["msg"]).removeprefix("Value error, ")


def _whose(row: Mapping[str, Any]) -> str | None:
    """The row's contact id, if it is valid; an invalid one may be an address, so it is not returned."""
    try:
        return Row.model_validate({CONTACT_ID: row.get(CONTACT_ID)}).contact_id
    except ValidationError:
        return None
