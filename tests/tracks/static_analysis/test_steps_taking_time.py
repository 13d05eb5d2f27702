"""No loop without a wait: each round of a repeat takes time, and so does each cycle of tracks that enrol each other."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tracks.examples import problems, with_steps
from tracks.checks.enrollment_loops import circle_problems
from tracks.checks.track_document import track_from_data
from tracks.model.track import Track

MAIL: dict[str, Any] = {"email": {"template": "hello", "from": "Ada <ada@acme.test>"}}


def complaints(steps: str) -> list[str]:
    return [problem.split(": ", 1)[1] for problem in problems(with_steps(steps))]


def round_of(*steps: str) -> list[str]:
    return complaints(
        "- {id: again, repeat: {times: 20, steps: [" + ", ".join(steps) + ", {id: m, set: {attributes: {a: 1}}}]}}"
    )


@pytest.mark.parametrize(
    "step",
    [
        "{id: w, wait: 1h}",
        "{id: w, wait_until: {time: '09:00'}}",
        "{id: w, wait_until: {time: '09:00', weekdays: [mon]}}",
        "{id: w, wait_until: {day: 10, past: exit}}",
        "{id: w, wait: {days: enrollment.properties.days, missing: {steps: [{id: p, wait: 1d}]}}}",
        "{id: w, wait_for: {event: used, within: 1d}}",
        "{id: w, wait_for: {event: email.clicked, within: 1d, by: [human]}}",
        "{id: w, wait_for: {event: email.delivered, within: 1d, then: [{id: v, wait: 1d}], else: [{id: x, wait: 1d}]}}",
        "{id: w, wait_for: {event: used, within: 1d, since: enrollment}}",
        "{id: w, wait_date: {attribute: due, missing: exit, past: exit}}",
        "{id: w, wait_date: {attribute: due, missing: exit, past: {steps: [{id: p, wait: 1d}]}}}",
        "{id: w, repeat: {times: 2, steps: [{id: v, wait: 1d}]}}",
    ],
)
def test_a_round_that_takes_time_is_fine(step: str) -> None:
    assert round_of(step) == []


@pytest.mark.parametrize(
    "step",
    [
        "{id: w, wait_until: {weekdays: [mon, tue, wed, thu, fri]}}",
        "{id: w, wait_until: {day: 10, time: '09:00', past: skip}}",
        "{id: w, wait: {days: enrollment.properties.days, least: 1d, missing: skip}}",
        "{id: w, wait_date: {attribute: due, missing: skip, past: exit}}",
        "{id: w, wait_date: {attribute: due, missing: exit, past: {steps: [{id: p, set: {attributes: {b: 1}}}]}}}",
        "{id: w, branch: [{when: contact.has_phone, steps: [{id: v, wait: 1d}]}]}",
        "{id: w, wait_for: {event: email.delivered, within: 1d}}",
        "{id: w, wait_for: {condition: contact.has_phone, within: 1d}}",
        "{id: w, wait_for: {event: sms.failed, within: 30d, since: enrollment}}",
        "{id: w, wait_for: {event: email.opened, within: 1d, by: any}}",
        "{id: w, wait_for: {event: email.clicked, within: 1d, by: [human, scanner]}}",
        "{id: w, repeat: {times: 2, steps: [{id: v, branch: [{when: now > now, steps: [{id: x, wait: 1d}]}]}]}}",
    ],
)
def test_a_round_that_may_take_no_time_is_refused(step: str) -> None:
    assert any("may take no time" in found for found in round_of(step))


def track(name: str, *steps: dict[str, Any], reentry: Any = "always", entry: Any = None) -> Track:
    numbered = [{"id": f"s{number}", **step} for number, step in enumerate(steps)]
    data = {"track": name, "reentry": reentry, "steps": numbered} | ({"entry": entry} if entry else {})
    return track_from_data(data, name)


def circles(*tracks: Track) -> list[str]:
    return [words for _, words in circle_problems(tracks[0].track, {one.track: one for one in tracks})]


def enroll(name: str) -> dict[str, Any]:
    return {"enroll": {"track": name}}


def test_two_tracks_that_enrol_each_other_at_once_are_named() -> None:
    [words] = circles(track("a", MAIL, enroll("b")), track("b", MAIL, enroll("a")))
    assert "a → b → a" in words


def test_a_longer_circle_is_found_as_well() -> None:
    [words] = circles(track("a", enroll("b")), track("b", enroll("c")), track("c", enroll("a")))
    assert "a → b → c → a" in words


@pytest.mark.parametrize("reentry", ["never", {"after": "1d"}])
def test_a_re_entry_rule_breaks_the_circle(reentry: Any) -> None:
    assert circles(track("a", MAIL, enroll("b")), track("b", enroll("a"), reentry=reentry)) == []


def test_a_wait_breaks_the_circle_unless_a_way_goes_round_it() -> None:
    other = track("b", enroll("a"))
    assert circles(track("a", {"wait": "1d"}, enroll("b")), other) == []
    choice = {"branch": [{"when": "contact.has_phone", "steps": [{"id": "w", "wait": "1d"}]}]}
    assert len(circles(track("a", choice, enroll("b")), other)) == 1


def test_a_track_that_its_own_message_begins_is_a_circle() -> None:
    [words] = circles(track("a", MAIL, entry={"event": "email.delivered"}))
    assert "a → a" in words
    assert circles(track("a", {"wait": "1d"}, MAIL, entry={"event": "email.delivered"})) == []
    assert circles(track("a", MAIL, entry={"event": "email.clicked"})) == []


@pytest.mark.parametrize(
    ("entry", "circle"),
    [
        ({"event": "email.sent"}, True),
        ({"event": "email.delivered", "where": 'event.properties.track == "a"'}, True),
        ({"event": "email.delivered", "where": 'event.properties.step == "s0"'}, True),
        ({"event": "email.delivered", "where": 'event.properties.track != "a"'}, False),
        ({"event": "email.delivered", "where": "contact.attributes.vip"}, False),
        ({"event": "email.delivered", "unless": {"event": "email.delivered", "within": "1d"}}, False),
        ({"event": "email.delivered", "unless": {"event": "order.paid", "within": "1d"}}, True),
        ({"event": "sms.delivered"}, False),
    ],
)
def test_what_is_known_of_a_messages_own_events_is_used(entry: dict[str, Any], circle: bool) -> None:
    for reentry in ("always", {"restart": True}, {"per": "message_id"}):
        assert bool(circles(track("a", MAIL, entry=entry, reentry=reentry))) == circle
    assert circles(track("a", MAIL, entry=entry, reentry={"per": "step"})) == []


def test_a_way_round_by_a_message_and_a_step_is_a_circle() -> None:
    """One track sends; the delivery enrols into the other, which enrols into the first."""
    told = track("b", enroll("a"), entry={"event": "email.delivered", "where": 'event.properties.track == "a"'})
    [words] = circles(track("a", MAIL), told)
    assert "a → b → a" in words


def test_restart_needs_an_event_of_the_tracks_own() -> None:
    assert any(
        "has no `entry`" in found
        for found in problems("track: t\nreentry: {restart: true}\nsteps: [{id: w, wait: 1d}]")
    )


def test_a_circle_of_others_is_not_told_to_whoever_enrols_into_it() -> None:
    assert circles(track("a", enroll("b")), track("b", enroll("c")), track("c", enroll("b"))) == []
