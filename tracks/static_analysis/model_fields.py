"""Which fields of a track's models hold Liquid or event names, read from the models so that no field is missed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, JsonValue
from pydantic.fields import FieldInfo

from tracks.model.values import EVENT_NAME, LIQUID
from tracks.shared.yaml_source import Path


def is_liquid(field: FieldInfo) -> bool:
    """Whether texts in the field are Liquid: the field is marked so, or holds free JSON data of the author."""
    return LIQUID in field.metadata or _has(field.annotation, LIQUID, JsonValue)


def names_event(field: FieldInfo) -> bool:
    """Whether the field is the name of an event."""
    return EVENT_NAME in field.metadata or _has(field.annotation, EVENT_NAME)


def liquid_of(part: BaseModel) -> Iterator[tuple[Path, str]]:
    """Every Liquid text in a part of a track, with its path within the part."""
    for name, field in type(part).model_fields.items():
        value, key = getattr(part, name), field.alias or name
        if is_liquid(field):
            yield from _texts(value, (key,))
        elif isinstance(value, BaseModel):
            for path, text in liquid_of(value):
                yield (key, *path), text


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every text in JSON-like data."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _texts(part, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for index, part in enumerate(value):
            yield from _texts(part, (*path, index))


def _has(annotation: Any, *wanted: object) -> bool:
    inner = (*get_args(annotation), *getattr(annotation, "__metadata__", ()))
    return annotation in wanted or any(_has(part, *wanted) for part in inner if part not in (None, type(None)))
