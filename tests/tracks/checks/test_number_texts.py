"""A track gets a warning if it writes text to an attribute that one of its conditions compares with a number."""

from __future__ import annotations

from typing import Any

import pytest

from tracks.checks.track_document import read_track_data

HOT = {"id": "hot", "branch": [{"when": "contact.attributes.score >= 50", "steps": [{"id": "y", "wait": "1d"}]}]}


def warned(*steps: dict[str, Any]) -> list[str]:
    read = read_track_data({"track": "a", "steps": list(steps)})
    assert not read.problems
    return [one.message for one in read.warnings()]


@pytest.mark.parametrize("text", ["{{ enrollment.properties.score }}", "12", "{{ contact.attributes.a | default: 0 }}"])
@pytest.mark.parametrize(
    "condition",
    [
        "contact.attributes.score >= 50",
        "50 < contact.attributes.score",
        "contact.attributes.score + 1 > size(contact.attributes.tags)",
        "contact.attributes.plan == 'x' && contact.attributes.score == 3",
    ],
)
def test_a_text_where_a_number_is_compared_is_worth_a_look(text: str, condition: str) -> None:
    branch = {"id": "hot", "branch": [{"when": condition, "steps": [{"id": "y", "wait": "1d"}]}]}
    (message,) = warned(branch, {"id": "r", "repeat": {"times": 2, "steps": [
        {"id": "w", "wait": "1d"}, {"id": "s", "set": {"attributes": {"score": text}}}
    ]}})  # fmt: skip
    assert "put it below numbers:" in message


@pytest.mark.parametrize(
    "change",
    [
        {"attributes": {"score": 12}},
        {"attributes": {"score": None}},
        {"attributes": {"plan": "{{ enrollment.properties.plan }}"}},
        {"numbers": {"score": "{{ enrollment.properties.score }}"}},
        {"add": {"score": "{{ enrollment.properties.score | default: 0 }}"}},
    ],
)
def test_numbers_and_other_texts_are_not(change: dict[str, Any]) -> None:
    assert warned({"id": "s", "set": change}, HOT) == []


def test_what_is_made_a_number_of_or_compared_with_a_text_is_not() -> None:
    for condition in ("double(contact.attributes.score) > 5.0", "contact.attributes.score == '5'"):
        branch = {"id": "b", "branch": [{"when": condition, "steps": []}]}
        assert warned({"id": "s", "set": {"attributes": {"score": "{{ contact.id }}"}}}, branch) == []
