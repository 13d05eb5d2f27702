"""Warn about attributes that a track sets to a text while its own conditions compare them with a number.

Such a condition is never true. A copied number (`'{{ enrollment.properties.total }}'`) becomes a text as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracks.conditions.impossible_conditions import attributes_as_numbers
from tracks.conditions.syntax_tree import SyntaxUnknownError, parse
from tracks.shared.yaml_source import Path

_CONDITIONS = ("when", "where", "unless")


def written_as_text(data: Any) -> Iterator[tuple[Path, str]]:
    """The path of each such text in the track's `set` steps, and how to write a number instead."""
    compared = set(_compared(data))
    for path, attributes in _sets(data, ()):
        for name, value in attributes.items():
            if name in compared and isinstance(value, str):
                yield (
                    (*path, name),
                    f"attributes.{name}: writes a text, and a condition compares {name} with a number; to write a "
                    f"number, put it below numbers: in place of attributes:",
                )


def _compared(data: Any) -> Iterator[str]:
    """The contact's attributes that conditions compare with numbers."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key in _CONDITIONS and isinstance(value, str):
                try:
                    yield from attributes_as_numbers(parse(value))
                except SyntaxUnknownError:
                    continue
            else:
                yield from _compared(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _compared(value)


def _sets(data: Any, path: Path) -> Iterator[tuple[Path, Mapping[Any, Any]]]:
    if isinstance(data, Mapping):
        step = data.get("set")
        if isinstance(step, Mapping) and isinstance(attributes := step.get("attributes"), Mapping):
            yield (*path, "set", "attributes"), attributes
        for key, value in data.items():
            if key != "set":
                yield from _sets(value, (*path, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _sets(value, (*path, index))
