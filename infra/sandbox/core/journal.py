"""The append-only journal: it stores all state of the sandbox, and the state is rebuilt from it.

Each part subscribes to the kinds of entry that it owns. Writing an entry appends one JSON line and applies it at once.
A restart applies the same entries again, so there is only one way to change the state.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Entry = dict[str, Any]


class Place(NamedTuple):
    """The position of an entry in the journal, in bytes."""

    offset: int
    length: int


Applier = Callable[[Entry, Place], None]


class JournalInUse(RuntimeError):
    """Another sandbox uses the same data directory."""


class Journal:
    """A journal with its subscribers. It is not thread-safe: only the event loop uses it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise JournalInUse(f"another sandbox is using {path.parent}") from None
        self._path = path
        self._size = 0
        self._appliers: defaultdict[str, list[Applier]] = defaultdict(list)

    def subscribe(self, kind: str, applier: Applier) -> None:
        """Apply every entry of `kind` with `applier`, now and in each replay."""
        self._appliers[kind].append(applier)

    def replay(self) -> int:
        """Apply all entries of the file. Returns how many there were.

        A last line that a crash left incomplete was never acknowledged, so it is removed.
        """
        count = 0
        with self._path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._apply(json.loads(line), Place(self._size, len(line)))
                self._size += len(line)
                count += 1
        os.ftruncate(self._fd, self._size)
        return count

    def write(self, kind: str, **fields: Any) -> None:
        """Append one entry and apply it. The line is passed to the operating system before this returns."""
        entry: Entry = {"kind": kind, **fields}
        line = json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        place = Place(self._size, len(line))
        rest = memoryview(line)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self._size += len(line)
        self._apply(entry, place)

    def read(self, place: Place) -> Entry:
        """The entry at `place`, read from the file, so that large bodies need not stay in memory."""
        entry: Entry = json.loads(os.pread(self._fd, place.length, place.offset))
        return entry

    def close(self) -> None:
        """Release the file and its lock."""
        os.close(self._fd)

    def _apply(self, entry: Entry, place: Place) -> None:
        for applier in self._appliers[entry["kind"]]:
            applier(entry, place)
