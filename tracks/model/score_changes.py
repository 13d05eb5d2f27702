"""A track's rules about the grades of a score: each is about the event that Perennial makes when a grade changes."""

from __future__ import annotations

GRADED = "score.graded"
"""The properties are `score`, its name, `version`, the grades `from` and `to`, and the grades on the way: `reached` are
those above `from` up to `to`, and `lost` those above `to` down from `from`. One of the two is empty."""


def of_score(score: str, grade: str | None, below: str | None, where: str | None) -> str:
    """The condition for such an event to say that a contact rose to this grade or above, or fell below that one, and
    `where` beside it."""
    passed = f'"{grade}" in event.properties.reached' if grade is not None else f'"{below}" in event.properties.lost'
    about = f'event.properties.score == "{score}" && {passed}'
    return about if where is None else f"{about} && ({where})"


def grade_problem(score: str | None, grade: str | None, below: str | None) -> str | None:
    """What is wrong with a rule that has these keys; None if it is about no score, or names one grade of it."""
    if score is None:
        given = [key for key, value in (("grade", grade), ("below", below)) if value is not None]
        return f"{given[0]} is for a score: write score: beside it" if given else None
    if (grade is None) == (below is None):
        return "score needs grade, such as grade: hot (for this grade or above), or below, and only one of them"
    return None
