"""Check that the scores that a segment names exist."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from audience.segments.members import LEAVES
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path


def missing_scores(data: Any, known: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The scores that a segment's data names but that are neither published nor part of this deploy, with their
    paths."""
    yield from _missing(data.get("members"), ("members",), known) if isinstance(data, Mapping) else ()


def _missing(data: Any, path: Path, known: Collection[str]) -> Iterator[tuple[Path, str]]:
    if isinstance(data, Mapping):
        name = data.get("score")
        if isinstance(name, str) and name not in known and not any(key in data for key in LEAVES if key != "score"):
            words = f"there is no score '{name}'" + meant(name, sorted(known))
            yield (*path, "score"), f"{words}; publish it before or in the same deploy"
        for key in ("all", "any", "not"):
            yield from _missing(data.get(key), (*path, key), known)
    elif isinstance(data, list | tuple):
        for index, part in enumerate(data):
            yield from _missing(part, (*path, index), known)
