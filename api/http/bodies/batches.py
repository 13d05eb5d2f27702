"""Bodies of many items. Each item is checked by itself, so a bad one does not affect the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from api.http.bodies.reading import storable
from api.http.problems import FieldProblem, field_problems

Item = TypeVar("Item", bound=BaseModel)


def judged(items: Sequence[Any], form: type[Item]) -> tuple[dict[int, Item], dict[int, list[FieldProblem]]]:
    """The valid items, and the problems of the others, both by index."""
    sound: dict[int, Item] = {}
    wrong: dict[int, list[FieldProblem]] = {}
    for index, item in enumerate(items):
        if problems := storable(item):
            wrong[index] = problems
            continue
        try:
            sound[index] = form.model_validate(item)
        except ValidationError as error:
            found = ({**e, "loc": ("body", *e["loc"])} for e in error.errors())
            wrong[index] = field_problems(found, tuple(form.model_fields))
    return sound, wrong
