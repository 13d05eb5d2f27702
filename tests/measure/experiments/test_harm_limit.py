"""A rate of harm is called too high soon after it is, and almost never while it is not."""

from __future__ import annotations

import numpy as np
import pytest

from measure.experiments.harm_limit import crossed, log_harm
from measure.intervals import Count


@pytest.mark.parametrize(("hits", "of", "evidence"), [(3, 1_000, 0.91), (20, 10_000, 2.83), (30, 10_000, 11.49)])
def test_the_evidence_is_that_of_the_formula(hits: int, of: int, evidence: float) -> None:
    assert log_harm(Count(of, hits), 0.001) == pytest.approx(evidence, abs=0.005)


def test_a_harmless_sender_is_almost_never_stopped_however_often_one_looks() -> None:
    rng = np.random.default_rng(5)
    stopped = 0
    for _ in range(300):
        hits = np.cumsum(rng.random(20_000) < 0.001)
        at_each_hit = np.flatnonzero(np.diff(hits, prepend=0))  # the evidence rises with hits only
        stopped += any(crossed(Count(int(n) + 1, int(hits[n])), 0.001) for n in at_each_hit)
    assert stopped / 300 <= 0.01


def test_a_rate_three_times_too_high_is_found_within_twenty_thousand_messages() -> None:
    rng = np.random.default_rng(6)
    found = [crossed(Count(20_000, int(rng.binomial(20_000, 0.003))), 0.001) for _ in range(100)]
    assert sum(found) >= 95


@pytest.mark.parametrize("limit", [0.0, -0.1, 0.2, 1.0])
def test_a_limit_that_is_none_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match="limit"):
        log_harm(Count(10, 1), limit)
