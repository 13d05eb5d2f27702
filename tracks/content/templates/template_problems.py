"""The problems of a template, each with its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TemplateProblem:
    """One problem of a template. `line` counts from 1 in the file; 0 means that no single line is the cause."""

    line: int
    message: str
    locale: str = ""
    """The variant that has the problem; empty for the template itself."""


class TemplateProblems(Exception):
    """A template that cannot be read, with all its problems."""

    def __init__(self, problems: list[TemplateProblem]) -> None:
        super().__init__("; ".join(p.message for p in problems))
        self.problems = problems


def line_of(source: str, index: int, first: int) -> int:
    """The line of the file on which that character of the source stands; the source begins on line `first`.

    0 where `first` is 0: the lines of that text are not counted.
    """
    if first == 0:
        return 0
    return first + (source.count("\n", 0, index) if index > 0 else 0)
