"""The errors of documents that cannot be published."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from api.http.problems import FieldProblem, pointer
from tracks.content.templates.template import TemplateProblem
from tracks.shared.problems import Problem


class RefusedError(Exception):
    """The documents cannot be published. `errors` holds all errors of all documents."""

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        super().__init__(f"{len(errors)} problems")
        self.errors = list(errors)


def track_errors(problems: Iterable[Problem], at: Sequence[str] = ()) -> Iterator[FieldProblem]:
    """Convert the problems of a track or a policy. `at` is its place in a deploy."""
    for one in problems:
        where = pointer(at) if at else None
        yield FieldProblem(detail=one.message, line=one.line or None, step=one.step or None, pointer=where)


def template_errors(problems: Iterable[TemplateProblem], at: Sequence[str] = ()) -> Iterator[FieldProblem]:
    """Convert the problems of a template: `pointer` names the variant, `line` is a line of its file."""
    for one in problems:
        place = [*at, *(["locales", one.locale] if one.locale else [])]
        yield FieldProblem(
            detail=f"locale {one.locale}: {one.message}" if one.locale else one.message,
            pointer=pointer(place) if place else None,
            line=one.line or None,
        )
