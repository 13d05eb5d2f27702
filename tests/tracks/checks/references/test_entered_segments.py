"""Segments that a track names have to exist, wherever it names them."""

from __future__ import annotations

from tracks.checks.references.entered_segments import missing_segments

TRACK = {
    "track": "t",
    "entry": {"segment": "churn-risk", "where": "'vip' in contact.segments"},
    "exits": [{"leaves": "churn-risk"}, {"enters": "gone"}, {"event": "segment.left", "reason": "r"}],
    "steps": [{"id": "b", "branch": [{"when": '"vpi" in contact.segments && true', "steps": []}]}],
}


def test_every_unknown_segment_is_told_with_its_place_and_what_may_be_meant() -> None:
    missing = list(missing_segments(TRACK, {"churn-risk", "vip"}))
    assert [path for path, _ in missing] == [("exits", 1, "enters"), ("steps", 0, "branch", 0, "when")]
    assert "there is no segment 'gone'" in missing[0][1] and missing[0][1].endswith("or in the same deploy")
    assert "there is no segment 'vpi'; did you mean 'vip'?" in missing[1][1]


def test_where_all_are_known_nothing_is_told() -> None:
    assert list(missing_segments(TRACK, {"churn-risk", "vip", "vpi", "gone"})) == []
