"""The figures that the benchmarks compute."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.comparisons.bulk import Bulk, report
from bench.comparisons.grow import Size, rows
from bench.comparisons.wake import figures
from bench.installation.contacts import latencies
from bench.installation.mail_feed import Mail
from bench.measuring.measured_runs import Taken
from bench.measuring.paired_runs import status
from bench.measuring.percentiles import percentile

SIZE = Size(1000, 40.0, 30.0, 0.1, 0.2, {"api": 0.01}, {"api": 100_000_000}, 4000.0, 9000.0, 1.0, 0.5, 0)


def test_a_percentile_is_a_value_that_was_seen() -> None:
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.5) == 2.0
    assert percentile([3.0, 1.0, 2.0, 4.0], 0.99) == 4.0
    assert percentile([7.0], 0.5) == 7.0


def test_a_latency_is_until_the_first_mail_and_never_negative() -> None:
    mails = [Mail("ann", "Hello", 12.0), Mail("ann", "Hello", 15.0), Mail("bo", "Hello", 9.5)]
    assert latencies({"ann": 10.0, "bo": 10.0}, mails) == [2.0, 0.0]
    with pytest.raises(LookupError, match="1 got no mail"):
        latencies({"cy": 10.0}, mails)


def test_the_burst_is_timed_from_its_moment_and_apart_from_the_other_track() -> None:
    mails = [Mail("calm", "x", 91.0), Mail("busy", "x", 103.0), Mail("one", "x", 101.0), Mail("two", "x", 104.0)]
    told = figures(mails, {"calm": 90.0}, {"busy": 101.0}, 100.0)
    assert (told["until_all"], told["per_second"], told["late_p50"]) == (4.0, 0.5, 1.0)
    assert (told["idle_p50"], told["busy_p50"], told["after_burst"]) == (1.0, 2.0, 0)
    with pytest.raises(RuntimeError, match="1 mails went out before"):
        figures([*mails, Mail("early", "x", 99.0)], {"calm": 90.0}, {"busy": 101.0}, 100.0)


@pytest.mark.parametrize(
    ("large", "kept"),
    [
        (replace(SIZE, sleepers=10_000), [True, True]),
        (replace(SIZE, sleepers=10_000, contacts_per_second=15.0), [False, True]),
        (replace(SIZE, sleepers=10_000, woken_p50=0.2), [True, False]),
    ],
    ids=["straight", "slower", "later"],
)
def test_an_installation_that_bends_misses_its_budget(large: Size, kept: list[bool]) -> None:
    report = rows([SIZE, large])
    assert [row.kept for row in report if "worse than" in row.what] == kept
    assert status(report) == (0 if all(kept) else 1)


def test_one_size_alone_bends_nothing() -> None:
    assert status(rows([SIZE])) == 0


def test_an_installation_in_which_the_doctor_finds_something_misses_its_budget() -> None:
    assert status(rows([replace(SIZE, findings=1)])) == 1


def test_the_cost_of_a_row_of_an_import_is_that_of_all_but_the_outside_world() -> None:
    received = Taken(10.0, {"api": 3.0, "postgres": 1.0, "sandbox": 9.0}, {"api": 150_000_000})
    worked = Taken(20.0, {"api": 1.0, "worker-1": 7.0})
    bulk = Bulk(2000, received, worked, {"enrolled": 399, "bad": 1}, [0.1], [0.3], 1.5, Taken(1.0, {"api": 1.0}), 200)
    told = {row.what: row.ours for row in report(bulk)}
    assert (told["rows received per second"], told["  memory of api, MB"]) == (200.0, 150.0)
    assert told["rows worked off per second, each a start"] == 20.0
    assert [row.ours for row in report(bulk) if row.what == "  CPU-s for 1,000"] == [2.0, 20.0, 5.0]
