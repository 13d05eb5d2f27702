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
