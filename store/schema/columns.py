"""Helpers for the columns of the tables, and the metadata that holds all tables."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, MetaData, Text, Uuid, func, text
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData()


def moment(name: str, *, nullable: bool = False, now: bool = False) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=func.now() if now else None)


def words(name: str, *, nullable: bool = False, default: str | None = None) -> Column[str]:
    return Column(name, Text, nullable=nullable, server_default=None if default is None else text(f"'{default}'"))


def data(name: str, *, nullable: bool = False, default: str | None = "{}") -> Column[object]:
    return Column(
        name, JSONB, nullable=nullable, server_default=None if default is None else text(f"'{default}'::jsonb")
    )


def identity(name: str, *, primary_key: bool = False) -> Column[str]:
    return Column(name, Uuid(as_uuid=False), primary_key=primary_key, nullable=False)
