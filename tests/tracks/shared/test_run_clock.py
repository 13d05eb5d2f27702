"""The run's clock: a wait until eleven never ends before eleven. Without a pace the signal has no clock fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tracks.shared.run_clock import Clock

ORIGIN = datetime(2026, 3, 2, 8, 0, 0, 123457, tzinfo=UTC)
TICK = timedelta(microseconds=1)
moments = st.timedeltas(timedelta(days=1), timedelta(days=1500)).map(lambda later: ORIGIN + later)


@given(moment=moments, pace=st.floats(1, 31_536_000))
def test_a_moment_comes_at_the_first_microsecond_that_is_not_before_it(moment: datetime, pace: float) -> None:
    clock = Clock.of(ORIGIN, pace)
    real = clock.real(moment)
    assert clock.at(real) >= moment
    assert real == moment if pace == 1 else clock.at(real - TICK) - moment <= TICK


@given(moment=moments)
def test_without_a_pace_it_is_the_real_one_and_a_history_holds_its_origin_alone(moment: datetime) -> None:
    clock = Clock.of(ORIGIN, 1.0)
    assert clock.at(moment) == clock.real(moment) == moment
    assert set(clock.model_dump()) == {"origin"}
