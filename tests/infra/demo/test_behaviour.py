"""The crowd is the same for the same seed, and has all kinds of contacts."""

from __future__ import annotations

from collections import Counter
from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from infra.demo.behaviour import Act, draw_answer, draw_life
from infra.demo.sample_contacts import BOUNCING, draw_people

TODAY = date(2026, 1, 31)
SEEDS = st.integers(0, 10**6)


def lives(seed: int) -> list[Act]:
    return [act for person in draw_people(seed, TODAY) for act in draw_life(seed, person)]


@given(SEEDS)
def test_the_same_seed_draws_the_same_lives(seed: int) -> None:
    assert lives(seed) == lives(seed)


@given(SEEDS)
def test_nobody_shares_an_id_or_an_address(seed: int) -> None:
    people = draw_people(seed, TODAY)
    for values in ([p.id for p in people], [p.email for p in people], [p.phone for p in people if p.phone]):
        assert len(values) == len(set(values))
    assert sum(person.email == BOUNCING for person in people) == 1


@given(SEEDS)
def test_acts_are_told_apart_and_begin_with_coming_in(seed: int) -> None:
    acts = lives(seed)
    assert len({act.id for act in acts}) == len(acts)
    for person in draw_people(seed, TODAY):
        first = min((act for act in acts if act.person == person), key=lambda act: act.days)
        assert first.kind == ("event" if person.by_event else "enroll")


def test_every_track_is_entered_both_ways_and_bought_from() -> None:
    acts = lives(24)
    entered = Counter((act.person.track, act.person.by_event) for act in acts)
    assert len(entered) == 6
    assert {act.goal[0] for act in acts if act.goal} == {"trial-to-paid", "abandoned-cart", "win-back"}


@given(SEEDS, st.integers(1, 20))
def test_a_message_is_opened_before_it_is_clicked(seed: int, number: int) -> None:
    person = draw_people(seed, TODAY)[0]
    message = {"id": "m", "channel": "email", "subject": "Hello", "links": [{"url": "a"}, {"url": "b"}]}
    at = {act.kind: act.days for act in draw_answer(seed, person, message, number)}
    assert {"click": "open", "unsubscribe": "open"}.items() >= {(kind, "open") for kind in at if kind != "open"}
    assert all(at["open"] <= days for days in at.values())
