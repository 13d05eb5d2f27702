"""Check that the scores that a track's conditions read exist."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path

_READ = re.compile(
    r"""contact\.scores(?:\.(?P<plain>[A-Za-z_]\w*)|\[\s*(?P<quote>["'])(?P<quoted>[^"']+)(?P=quote)\s*\])(?P<minus>-\w)?"""
)
_CONDITIONS = ("where", "when", "unless", "until")


def unknown_scores(data: Any, known: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The scores that conditions read but that are neither published nor part of this deploy, with their paths in the
    track's data."""
    for path, text in _conditions(data, ()):
        for match in _READ.finditer(text):
            name = match["plain"] or match["quoted"]
            if name in known:
                continue
            if match["minus"]:
                yield path, f'a name with "-" is written in quotes: contact.scores["{name}{match["minus"]}…"].value'
            else:
                words = f"there is no score '{name}'" + meant(name, sorted(known))
                yield path, f"{words}; publish it before or in the same deploy"


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
