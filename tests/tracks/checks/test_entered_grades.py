"""A track is entered and left by the grades of a score, which have to exist."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tracks.examples import data_problems
from tracks.checks.entered_grades import grade_problems, named_scores
from tracks.conditions.conditions import judge
from tracks.model.track import ExitRule

GRADES = ["cold", "warm", "hot"]


def track(**more: Any) -> dict[str, Any]:
    return {"track": "t", "steps": [{"id": "w", "wait": "1d"}], **more}


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"score": "lead", "grade": "hot"}, None),
        ({"score": "lead", "below": "warm"}, None),
        ({"score": "leed", "grade": "hot"}, "there is no score 'leed'; did you mean 'lead'?; publish it before or in"),
        ({"score": "lead", "grade": "ht"}, "the score lead has no grade 'ht'; did you mean 'hot'?; it has cold, warm"),
        ({"score": "lead", "grade": "cold"}, "'cold' is the lowest grade of lead, so nobody rises to it"),
        ({"score": "lead", "below": "cold"}, "'cold' is the lowest grade of lead, so nobody falls below it"),
        ({"score": "broken", "below": "whatever"}, None),
    ],
)
def test_a_score_or_grade_that_is_not_there_is_told_with_its_place(rule: dict[str, str], said: str | None) -> None:
    data = track(entry=[{"event": "a"}, rule], exits=[rule])
    assert named_scores(data) == {rule["score"]}
    found = list(grade_problems(data, ["lead", "broken"], {"lead": GRADES}))
    assert [path[:2] for path, _ in found] == ([("entry", 1), ("exits", 0)] if said else [])
    assert all(words.startswith(said or "") for _, words in found)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"score": "lead"}, "score needs grade, such as grade: hot (for this grade or above), or below"),
        ({"score": "lead", "grade": "hot", "below": "hot"}, "score needs grade"),
        ({"event": "a", "grade": "hot"}, "grade is for a score: write score: beside it"),
        ({"event": "a", "score": "lead", "grade": "hot"}, "only one of them"),
    ],
)
def test_an_entry_by_a_score_says_by_which_grade(rule: dict[str, str], said: str) -> None:
    (problem,) = data_problems(track(entry=rule))
    assert said in problem


@pytest.mark.parametrize(
    ("rule", "rises", "falls", "reason"),
    [
        ({"grade": "warm"}, True, False, "reached-warm"),
        ({"below": "warm"}, False, True, "below-warm"),
        ({"below": "warm", "where": "event.properties.to == 'warm'"}, False, False, "below-warm"),
        ({"below": "warm", "reason": "cooled"}, False, True, "cooled"),
    ],
)
def test_a_grade_counts_when_the_contact_passes_it_in_its_direction(
    rule: dict[str, str], rises: bool, falls: bool, reason: str
) -> None:
    leaving = ExitRule.model_validate({"score": "lead", **rule})
    event, where = leaving.cause
    assert (event, leaving.because) == ("score.graded", reason)
    passed = {"reached": ["warm", "hot"], "lost": [], "from": "cold", "to": "hot"}
    lost = {"reached": [], "lost": ["warm", "hot"], "from": "hot", "to": "cold"}
    for properties, holds in ((passed, rises), (lost, falls), ({"to": "hot"}, False)):
        for score in ("lead", "other"):
            seen = {"event": {"name": event, "properties": {"score": score, **properties}}}
            assert where is not None and judge(where, seen).holds is (holds and score == "lead")
