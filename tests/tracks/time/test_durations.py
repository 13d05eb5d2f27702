from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.time.durations import Shift, format_duration, format_shift, parse_duration, parse_shift


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("15m", 900),
        ("36h", 129_600),
        ("2d", 172_800),
        ("1w", 604_800),
        ("1d12h", 129_600),
        ("1d 12h", 129_600),
        ("-7d", -604_800),
        ("P2D", 172_800),
        ("PT36H", 129_600),
        ("P1DT12H", 129_600),
        ("P1W", 604_800),
        ("-P7D", -604_800),
        ("0s", 0),
    ],
)
def test_durations_are_read_in_the_short_and_the_iso_form(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["", "2", "d", "2 days", "P", "PT", "P1DT", "1h2d", "1.5d", "--2d", "٢d", "2d!", "+2d"]
)
def test_anything_else_is_refused_with_an_example_of_what_would_be_right(text: str) -> None:
    with pytest.raises(ValueError, match="write for example 90s, 15m"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["P1M", "P1Y", "P1Y2M10D"])
def test_months_and_years_are_refused_because_they_have_no_fixed_length(text: str) -> None:
    with pytest.raises(ValueError, match="no fixed length"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["4000d", "99999999999999999999d", "P9999999W"])
def test_a_slip_of_the_pen_beyond_ten_years_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="longer than 10 years"):
        parse_duration(text)


@given(st.integers(-300_000_000, 300_000_000))
def test_what_is_written_back_reads_as_the_same_duration(seconds: int) -> None:
    span = timedelta(seconds=seconds)
    assert parse_duration(format_duration(span)) == span


@given(st.text(max_size=20))
def test_no_text_does_worse_than_a_value_error(text: str) -> None:
    try:
        parse_duration(text)
    except ValueError:
        pass


@pytest.mark.parametrize(
    ("text", "days", "hours", "written"),
    [
        ("-1d", -1, 0, "-1d"),
        ("-24h", 0, -24, "-24h"),
        ("-PT24H", 0, -24, "-24h"),
        ("1w1d", 8, 0, "8d"),
        ("-1d36h", -1, -36, "-1d36h"),
        ("0s", 0, 0, "0s"),
    ],
)
def test_days_of_a_shift_are_told_from_its_hours(text: str, days: int, hours: int, written: str) -> None:
    assert parse_shift(text) == Shift(days, timedelta(hours=hours))
    assert format_shift(parse_shift(text)) == written
    assert parse_shift(written) == parse_shift(text)
