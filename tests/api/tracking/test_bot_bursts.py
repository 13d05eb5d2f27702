"""Verdicts about several touches, over random bursts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from api.tracking.bot_bursts import BURST, MANY, judge
from api.tracking.bot_requests import Verdict
from store.sending.feedback.engagement import Touch
from tracks.shared.link_tokens import DECOY

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SOON = timedelta(seconds=5)
seconds = st.floats(min_value=0, max_value=BURST.total_seconds(), allow_nan=False)


def click(link: int, at: float, number: int = 0) -> Touch:
    return Touch(number, "m", "click", link, "human", "", NOW + timedelta(seconds=at))


def judged(touch: Touch, around: list[Touch], links: int, reached: float = -3600) -> Verdict:
    return judge(touch, around, links=links, reached_at=NOW + timedelta(seconds=reached), soon=SOON)


@given(st.integers(min_value=2, max_value=8), st.data())
def test_a_scanner_that_fetches_every_link_in_any_order_is_no_person(links: int, data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(1, links + 1)))
    touches = [click(link, data.draw(seconds), number) for number, link in enumerate(order)]
    assert all(judged(touch, touches, links) == Verdict("scanner", "links at once") for touch in touches)


@given(st.lists(st.tuples(st.integers(min_value=1, max_value=9), seconds), max_size=6), seconds, seconds)
def test_what_comes_with_the_hidden_link_is_no_person(
    others: list[tuple[int, float]], hidden: float, mine: float
) -> None:
    touches = [click(link, at) for link, at in others] + [click(DECOY, hidden)]
    assert judged(click(1, mine), touches, 1).by == "scanner"
    opened = Touch(99, "m", "open", None, "human", "", NOW + timedelta(seconds=mine))
    assert judged(opened, touches, 9) == Verdict("scanner", "hidden link")


@given(
    st.lists(st.tuples(st.integers(min_value=0, max_value=9), seconds), max_size=9),
    st.integers(1, 9),
    st.integers(1, 9),
)
def test_a_persons_click_a_moment_later_is_one(others: list[tuple[int, float]], mine: int, links: int) -> None:
    later = click(mine, 2 * BURST.total_seconds() + 1)
    assert judged(later, [click(link, at) for link, at in others], links) == Verdict("human")


@given(st.integers(min_value=MANY, max_value=9), st.lists(seconds, min_size=1, max_size=6), seconds)
def test_somebody_who_follows_two_of_many_links_is_a_person(links: int, again: list[float], first: float) -> None:
    touches = [click(1, first), *(click(2, at) for at in again)]
    assert all(judged(touch, touches, links) == Verdict("human") for touch in touches)


@given(st.floats(min_value=-1e6, max_value=1e6, allow_nan=False))
def test_nobody_clicks_before_there_is_something_to_click(reached: float) -> None:
    assert (judged(click(1, 0), [], 5, reached).by == "human") is (reached <= -SOON.total_seconds())


def test_what_a_request_said_by_itself_stands() -> None:
    touch = Touch(1, "m", "click", 1, "prefetch", "header: purpose", NOW)
    assert judged(touch, [click(DECOY, 0)], 5, 0) == Verdict("prefetch", "header: purpose")
