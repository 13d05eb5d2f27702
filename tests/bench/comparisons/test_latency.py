"""The figures that the latency benchmark computes from its measurements."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.comparisons.latency import Delay, NotArrivedError, Told, delays, figures, moments
from bench.installation.mail_feed import Mail
from bench.measuring.percentiles import percentile

TOLD = {"ann": Told(10.0, 10.5), "bob": Told(11.0, 11.5)}
MAILS = [Mail("ann", "Hello (thanks)", 11.0), Mail("bob", "Hello (thanks)", 13.0)]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.sampled_from([0.01, 0.5, 0.99, 1.0]))
def test_a_percentile_is_the_smallest_value_that_covers_its_share(values: list[float], share: float) -> None:
    found = percentile(values, share)
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < share * len(values)


def test_no_percentile_of_nothing_or_of_no_share() -> None:
    for values, share in (([], 0.5), ([1.0], 0.0), ([1.0], 1.1)):
        with pytest.raises(ValueError, match="percentile"):
            percentile(values, share)


@given(st.integers(1, 200), st.sampled_from([2, 5, 15]))
def test_every_slot_has_one_event_so_that_the_pace_is_kept(count: int, rate: int) -> None:
    assert [int(moment * rate + 1e-9) for moment in moments(rate, count)] == list(range(count))


def test_both_sides_are_sent_to_at_the_same_moments() -> None:
    assert moments(5, 20) == moments(5, 20)


def test_a_delay_ends_when_the_provider_has_the_message() -> None:
    assert delays(TOLD, reversed(MAILS)) == [Delay(1.0, 0.5), Delay(2.0, 1.5)]


@pytest.mark.parametrize(
    ("mails", "said"),
    [
        (MAILS[:1], "1 missing, 0 doubled; 0 unexpected"),
        ([*MAILS, MAILS[0]], "0 missing, 1 doubled; 0 unexpected"),
        ([*MAILS, replace(MAILS[0], contact="eve")], "0 missing, 0 doubled; 1 unexpected"),
        ([MAILS[0], replace(MAILS[1], subject="Hello (reminder)")], "1 missing, 0 doubled; 1 unexpected"),
    ],
)
def test_what_did_not_come_as_it_should_fails_the_run(mails: list[Mail], said: str) -> None:
    with pytest.raises(NotArrivedError, match=f"of 2 messages {said}"):
        delays(TOLD, mails)


def test_figures_are_milliseconds_by_rate_and_over_all() -> None:
    found = dict(figures({2: [Delay(0.2, 0.1, 0.05)], 5: [Delay(0.4, 0.3), Delay(0.4, 0.3)]}))
    assert found["p50 2/s"] == pytest.approx(100)
    assert found["p99 5/s since sent"] == pytest.approx(400)
    assert found["p50 all"] == pytest.approx(300)
    assert found["p99 all late"] == pytest.approx(50)
