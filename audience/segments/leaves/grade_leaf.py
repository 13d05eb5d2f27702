"""A leaf of a segment about the grade that a contact has by a score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from tracks.model.values import Model, Slug


def _as_list(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


class ScoreGrade(Model):
    """They have this grade by a score, or one of these grades. False while the score's first version is filled."""

    score: Slug
    grade: Annotated[tuple[Slug, ...], BeforeValidator(_as_list, json_schema_input_type=Slug | list[Slug])] = Field(
        min_length=1, max_length=10
    )

    def holds(self, grades: Mapping[str, str]) -> bool:
        """Whether a contact with these grades, by score, is meant."""
        return grades.get(self.score) in self.grade
