"""Tracks that begin each other by the attributes that they write are refused, where a contact would go round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.checks.attribute_loops import Cause, causes_of
from tracks.checks.enrollment_loops import circle_problems
from tracks.checks.track_document import track_from_data
from tracks.model.track import Track

Sets = list[tuple[str, str]]
ROUNDS = 60
"""More runs than tracks and values could give without a circle."""
ATTRIBUTES, VALUES = ["a", "b"], ["x", "y"]
MEANT = {f"{name}-{value}": (name, value) for name in ATTRIBUTES for value in VALUES}
"""Segments, each of whom an attribute has a value."""
READS = {Cause("segment", segment): frozenset([name]) for segment, (name, _) in MEANT.items()}


def track(name: str, segment: str, sets: Sets, **more: Any) -> Track:
    steps = [{"id": f"s{at}", "set": {"attributes": {key: value}}} for at, (key, value) in enumerate(sets)]
    return track_from_data(
        {"track": name, "entry": {"segment": segment}, "reentry": "always", "steps": steps, **more}, name
    )


def goes_round(tracks: dict[str, tuple[str, Sets]], begun: str) -> bool:
    """Whether a contact who enters this track goes on entering tracks, by the rules themselves."""
    attributes: dict[str, str] = {}
    ahead = [begun]
    for _ in range(ROUNDS):
        if not ahead:
            return False
        for key, value in tracks[ahead.pop(0)][1]:
            before = dict(attributes)
            attributes[key] = value
            for other, (segment, _) in tracks.items():
                of, wanted = MEANT[segment]
                if before.get(of) != wanted and attributes.get(of) == wanted:
                    ahead.append(other)
    return True


ways = st.lists(
    st.tuples(
        st.sampled_from(sorted(MEANT)),
        st.lists(st.tuples(st.sampled_from(ATTRIBUTES), st.sampled_from(VALUES)), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=3,
)


@given(ways)
def test_whatever_really_goes_round_is_refused(drawn: list[tuple[str, Sets]]) -> None:
    written = {f"t{at}": one for at, one in enumerate(drawn)}
    tracks = {name: track(name, *one) for name, one in written.items()}
    if any(goes_round(written, name) for name in written):
        assert any(list(circle_problems(name, tracks, READS)) for name in tracks)


@given(ways)
def test_tracks_that_all_write_the_same_value_are_not_refused(drawn: list[tuple[str, Sets]]) -> None:
    tracks = {f"t{at}": track(f"t{at}", segment, [("a", "x")]) for at, (segment, _) in enumerate(drawn)}
    assert not any(list(circle_problems(name, tracks, READS)) for name in tracks)


PAID, FREE = track("paid", "a-x", [("a", "y")]), track("free", "a-y", [("a", "x")])


def test_the_circle_is_shown_at_the_step_that_closes_it() -> None:
    ((path, words),) = circle_problems("paid", {"paid": PAID, "free": FREE}, READS)
    assert path == ("steps", 0, "set") and "paid → free → paid. Put a wait before this step" in words


@pytest.mark.parametrize(
    "other",
    [
        track("free", "a-y", [("a", "x")], reentry="never"),
        track("free", "a-y", [("a", "x")], steps=[{"id": "w", "wait": "1h"}, {"id": "s", "set": {"add": {"a": 1}}}]),
        track("free", "b-x", [("a", "x")]),
        track("free", "a-y", [("b", "x")]),
    ],
)
def test_what_takes_time_lets_in_once_or_concerns_another_attribute_closes_no_circle(other: Track) -> None:
    assert not list(circle_problems("paid", {"paid": PAID, "free": other}, READS))


@pytest.mark.parametrize("changes", [{"add": {"a": 1}}, {"numbers": {"a": "{{ 1 | plus: 1 }}"}}])
@pytest.mark.parametrize("read", [frozenset({"a"}), None])
def test_a_computed_value_and_what_may_read_any_attribute_are_judged_carefully(
    changes: dict[str, Any], read: frozenset[str] | None
) -> None:
    score = {"score": "lead", "grade": "hot"}
    own = track("own", "a-x", [], entry=score, steps=[{"id": "s", "set": changes}])
    assert causes_of(own) == {Cause("score", "lead")}
    assert list(circle_problems("own", {"own": own}, {Cause("score", "lead"): read}))
    assert not list(circle_problems("own", {"own": own}, {}))
