"""The crowd's progress, kept over a restart: when it began, and which actions are done."""

from __future__ import annotations

import json
import time
from datetime import date
from pathlib import Path
from typing import Any


class SavedProgress:
    """The progress in one file. It is written at most once a second, and at the end."""

    def __init__(self, path: Path, seed: int, pace: float, contacts: int) -> None:
        """Continue with the file's content, if there is one. Seed, pace and number of contacts stay those of the first
        start.
        """
        self.path = path
        self.data: dict[str, Any] = {
            "seed": seed,
            "pace": pace,
            "contacts": contacts,
            "began": time.time(),
            "today": date.today().isoformat(),  # noqa: DTZ011 - any day will do
            "done": {},
        }
        self.continued = False
        try:
            self.data |= json.loads(path.read_text())
            self.continued = True
        except (OSError, ValueError):
            pass
        self._saved = 0.0

    @property
    def seed(self) -> int:
        return int(self.data["seed"])

    @property
    def pace(self) -> float:
        return float(self.data["pace"])

    @property
    def contacts(self) -> int:
        return int(self.data["contacts"])

    @property
    def began(self) -> float:
        return float(self.data["began"])

    @property
    def today(self) -> date:
        return date.fromisoformat(self.data["today"])

    def done(self, act_id: str) -> bool:
        return act_id in self.data["done"]

    def mark(self, act_id: str, answer: dict[str, Any]) -> None:
        """Record an action as done, with the relevant part of the answer."""
        self.data["done"][act_id] = answer
        if time.monotonic() - self._saved > 1:
            self.save()

    def save(self) -> None:
        draft = self.path.with_suffix(".draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode=0o600)  # the file says who did what
        draft.write_text(json.dumps(self.data))
        draft.replace(self.path)
        self._saved = time.monotonic()
