"""The kinds of columns that tables are made of, named after PostgreSQL's types, and the one set of all tables.

A column may not be null, unless `nullable` says so. `default` is the value that PostgreSQL itself fills in.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Text,
    TextClause,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()


def string(
    name: str,
    *,
    nullable: bool = False,
    default: str | None = None,
    primary_key: bool = False,
    unique: bool | None = None,
    references: str | None = None,
) -> Column[str]:
    """A text of any length; `references` is a column of another table, such as "track.name"."""
    return Column(
        name,
        Text,
        *([ForeignKey(references)] if references else []),
        nullable=nullable,
        server_default=None if default is None else text(f"'{default}'"),
        primary_key=primary_key,
        unique=unique,
    )


def string_array(name: str, *, empty: bool = False) -> Column[list[str]]:
    """A list of texts; `empty`: an empty one where nothing is given."""
    return Column(name, ARRAY(Text), nullable=False, server_default=text("'{}'") if empty else None)


def integer(name: str, *, nullable: bool = False, default: int | None = None, primary_key: bool = False) -> Column[int]:
    """A whole number of 32 bits; a primary key is given by the code and not counted by PostgreSQL."""
    return Column(
        name,
        Integer,
        nullable=nullable,
        server_default=_literal(default),
        primary_key=primary_key,
        autoincrement=False if primary_key else "auto",
    )


def big_integer(name: str, *, default: int | None = None, primary_key: bool = False) -> Column[int]:
    """A whole number of 64 bits; a primary key is given by the code and not counted by PostgreSQL."""
    return Column(
        name,
        BigInteger,
        nullable=False,
        server_default=_literal(default),
        primary_key=primary_key,
        autoincrement=False if primary_key else "auto",
    )


def counted_id() -> Column[int]:
    """The primary key `id`, which PostgreSQL counts up."""
    return Column("id", BigInteger, Identity(always=True), primary_key=True)


def double(name: str, *, default: int | None = None) -> Column[float]:
    """A floating-point number of double precision."""
    return Column(name, Float(53), nullable=False, server_default=_literal(default))


def boolean(name: str) -> Column[bool]:
    """True or false; false where nothing is given."""
    return Column(name, Boolean, nullable=False, server_default=text("false"))


def timestamp(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    """A moment with a time zone; `now`: the beginning of the transaction where nothing is given."""
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=func.now() if now else None)


def day(name: str) -> Column[object]:
    """A day of the calendar."""
    return Column(name, Date, nullable=False)


def jsonb(name: str, *, nullable: bool = False, default: str | None = "{}") -> Column[object]:
    """JSON; an empty object where nothing is given and no other default is named."""
    return Column(
        name, JSONB, nullable=nullable, server_default=None if default is None else text(f"'{default}'::jsonb")
    )


def uuid(name: str, *, primary_key: bool = False, references: str | None = None) -> Column[str]:
    """A UUID, a text in Python; `references` is a column of another table, such as "enrollment.id"."""
    return Column(
        name,
        Uuid(as_uuid=False),
        *([ForeignKey(references)] if references else []),
        primary_key=primary_key,
        nullable=False,
    )


def _literal(default: int | None) -> TextClause | None:
    return None if default is None else text(str(default))
