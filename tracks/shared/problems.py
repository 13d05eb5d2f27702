"""The problems of a track, written so that the author can fix them: all at once, each with its place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to fix. `line` is 0 where there is no text; `step` is empty outside the steps."""

    file: str
    line: int
    step: str
    message: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: step '{self.step}': {self.message}" if self.step else f"{place}: {self.message}"


class TrackProblems(Exception):
    """A track cannot be used. `problems` holds everything found, in the order of the text."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: list[Problem] = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def meant(word: object, known: Sequence[str]) -> str:
    """`; did you mean 'x'?` if a known word is similar, else the known words if there are few."""
    close = get_close_matches(str(word).lower(), known, 1, 0.6)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(known)}" if 0 < len(known) <= 16 else ""
