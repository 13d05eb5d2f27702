"""Check that the entries whose names a track's conditions compare exist: a mistyped one would never be true."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.static_analysis.entries_in_data import entries_in, name_of_entry

_COMPARED = re.compile(r"""enrollment\.entry\s*[!=]=\s*(?P<quote>["'])(?P<name>[^"']*)(?P=quote)""")
_CONDITIONS = ("where", "when", "unless", "until")


def unknown_entries(data: Any) -> Iterator[tuple[Path, str]]:
    """The comparisons of `enrollment.entry` with a name that no entry of the track has."""
    names = [name for _, entry in entries_in(data) if (name := name_of_entry(entry)) is not None]
    for path, condition in _conditions(data, ()):
        for match in _COMPARED.finditer(condition):
            if (name := match["name"]) not in names:
                right = meant(name, names) if names else "; the track has no entry, so no run has one"
                yield path, f"there is no entry '{name}'{right}"


def _conditions(data: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(data, Mapping):
        for key, value in data.items():
            if key in _CONDITIONS and isinstance(value, str):
                yield (*path, key), value
            else:
                yield from _conditions(value, (*path, key))
    elif isinstance(data, list | tuple):
        for index, value in enumerate(data):
            yield from _conditions(value, (*path, index))
