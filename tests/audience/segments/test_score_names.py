"""A segment may only name scores that exist, or that come with it; and a score's `while` names none."""

from __future__ import annotations

import pytest

from audience.scores.document import read_score
from audience.segments.document import segment_from_data
from audience.segments.score_names import missing_scores


def test_a_score_that_nobody_publishes_is_told_with_its_place() -> None:
    members = {"any": [{"score": "lead", "grade": "hot"}, {"not": {"score": "leed", "grade": ["warm", "hot"]}}]}
    ((path, words),) = missing_scores({"segment": "s", "members": members}, {"lead"})
    assert path == ("members", "any", 1, "not", "score")
    assert words.startswith("there is no score 'leed'; did you mean 'lead'?")
    assert segment_from_data({"segment": "s", "members": members}).scores == {"lead", "leed"}


@pytest.mark.parametrize(
    "rule",
    [
        "{id: a, while: {score: lead, grade: hot}, points: 3}",
        "{id: a, event: score.graded, half_life: 1d, points: 3}",
        "{id: a, while: {did: score.graded}, points: 3}",
        "{id: a, while: 'contact.scores.lead.value > 3', points: 3}",
    ],
)
def test_a_score_is_about_no_score(rule: str) -> None:
    read = read_score(f"score: s\nbehaviour:\n  - {rule}\ngrades: {{cold: , hot: 3}}\n", "s.yaml")
    assert [problem.line for problem in read.problems] == [3]
