"""What is wrong with a template, each with its place."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TemplateProblem:
    """One thing wrong with a template; `line` counts from 1 in the file, 0 where no line is to blame."""

    line: int
    message: str
    locale: str = ""
    """The variant whose file it is in; empty for the template's own."""


class TemplateProblems(Exception):
    """A template that cannot be read; `problems` holds all that was found."""

    def __init__(self, problems: list[TemplateProblem]) -> None:
        super().__init__("; ".join(p.message for p in problems))
        self.problems = problems
