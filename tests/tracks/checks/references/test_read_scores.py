"""A track may only read scores that exist, or that come with it."""

from __future__ import annotations

import pytest

from tracks.checks.references.read_scores import unknown_scores


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("contact.scores.lead.value > 3", None),
        ('contact.scores["sales-readiness"].grade == "hot"', None),
        ("contact.scores.leed.value > 3", "there is no score 'leed'; did you mean 'lead'?"),
        ("contact.scores['other'].value > 3", "there is no score 'other'"),
        ("contact.scores.sales-readiness.value > 3", 'a name with "-" is written in quotes: contact.scores["sales-r'),
    ],
)
def test_a_name_that_nobody_publishes_is_told_with_its_place(condition: str, said: str | None) -> None:
    track = {"steps": [{"id": "a", "branch": [{"when": condition, "steps": []}]}, {"id": "b", "wait": "1d"}]}
    found = list(unknown_scores(track, {"lead", "sales-readiness"}))
    assert [path for path, _ in found] == ([("steps", 0, "branch", 0, "when")] if said else [])
    assert all(words.startswith(said or "") for _, words in found)
