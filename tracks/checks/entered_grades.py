"""Check that the scores and grades exist by which a track is entered or left."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.static_analysis.entries_in_data import entries_in


def named_scores(data: Any) -> set[str]:
    """The scores that a track's entries and exits name."""
    return {rule["score"] for _, rule in _rules(data)}


def grade_problems(
    data: Any, known: Collection[str], grades: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Path, str]]:
    """The scores that entries and exits name but that are neither published nor part of this deploy, and grades that
    these do not have, with their paths in the track's data.

    `grades` are those of each score, the lowest first. A score that is known but has no grades here is one with
    mistakes of its own.
    """
    for path, rule in _rules(data):
        score = rule["score"]
        if score not in known:
            words = f"there is no score '{score}'" + meant(score, sorted(known))
            yield (*path, "score"), f"{words}; publish it before or in the same deploy"
            continue
        for key in ("grade", "below"):
            grade, all_grades = rule.get(key), grades.get(score, ())
            if not isinstance(grade, str) or not all_grades:
                continue
            if grade not in all_grades:
                words = f"the score {score} has no grade '{grade}'" + meant(grade, list(all_grades))
                yield (*path, key), f"{words}; it has {', '.join(all_grades)}"
            elif grade == all_grades[0]:
                never = "nobody rises to it" if key == "grade" else "nobody falls below it"
                yield (*path, key), f"'{grade}' is the lowest grade of {score}, so {never}"


def _rules(data: Any) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The entries and exits that name a score, with their paths."""
    exits = data.get("exits") if isinstance(data, Mapping) else None
    written = [(("exits", index), rule) for index, rule in enumerate(exits if isinstance(exits, list | tuple) else ())]
    for path, rule in [*entries_in(data), *written]:
        if isinstance(rule, Mapping) and isinstance(rule.get("score"), str):
            yield path, rule
