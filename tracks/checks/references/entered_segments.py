"""Check that the segments that a track names exist."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path

_READ = re.compile(r"""(?P<quote>["'])(?P<name>[^"']+)(?P=quote)\s+in\s+contact\.segments\b""")
_CONDITIONS = ("where", "when", "unless", "until")


def missing_segments(data: Any, known: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The segments that a track's entry, exits and conditions name but that are neither published nor part of this
    deploy, with their paths in the track's data."""
    for path, name in _named(data, ()):
        if name not in known:
            words = f"there is no segment '{name}'" + meant(name, sorted(known))
            yield path, f"{words}; publish it before or in the same deploy"


def _named(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            here = (*path, key)
            entry, leaving = path[:1] == ("entry",) and len(path) <= 2, path[:1] == ("exits",)
            rule = (entry and key == "segment") or (leaving and key in ("leaves", "enters"))
            if rule and isinstance(value, str):
                yield here, value
            elif key in _CONDITIONS and isinstance(value, str):
                yield from ((here, match["name"]) for match in _READ.finditer(value))
            else:
                yield from _named(value, here)
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            if isinstance(value, str) and path[-1:] == ("unless",):
                yield from (((*path, index), match["name"]) for match in _READ.finditer(value))
            else:
                yield from _named(value, (*path, index))
