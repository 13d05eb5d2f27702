"""A report says one word, and nothing that cannot be believed."""

from __future__ import annotations

import numpy as np
import pytest

from measure.experiments.planning import needed, smallest_visible
from measure.experiments.sample_ratio import sample_ratio
from measure.experiments.verdict import Word, verdict
from measure.intervals import Count
from tests.measure.experiments.peeking import look_after_each


def said(treated: Count, control: Count, worth_having: float = 0.0) -> Word:
    sizes = sample_ratio({"a": treated.of, "b": control.of}, {"a": 1, "b": 1})
    return verdict(treated, control, sizes, weight=0.5, planned=20_000, worth_having=worth_having).word


@pytest.mark.parametrize(
    ("treated", "control", "word"),
    [
        (Count(10_000, 1_500), Count(10_000, 1_000), "better"),
        (Count(10_000, 1_000), Count(10_000, 1_500), "worse"),
        (Count(10_000, 1_040), Count(10_000, 1_000), "not clear yet"),
        (Count(50, 40), Count(50, 1), "too early"),
        (Count(10_000, 300), Count(10_000, 12), "better"),  # by the ratio: the difference is not settled
        (Count(11_000, 1_500), Count(9_000, 900), "not believed"),
    ],
)
def test_the_word_is_what_both_ways_to_judge_agree_on(treated: Count, control: Count, word: Word) -> None:
    assert said(treated, control) == word


def test_a_difference_too_small_to_matter_is_called_so() -> None:
    treated, control = Count(200_000, 20_050), Count(200_000, 20_000)
    assert said(treated, control, worth_having=0.01) == "no difference worth having"
    assert said(treated, control) == "not clear yet"


def test_two_ways_that_agree_are_not_wrong_more_often_than_the_exact_one() -> None:
    found = look_after_each(runs=200, contacts=3_000, control_rate=0.05, planned=3_000, seed=11)
    assert found.verdict <= found.ratio <= 0.05


def test_a_plan_is_kept() -> None:
    """With the number of contacts that the plan names, the planned share of experiments finds the effect."""
    base, effect, power = 0.1, 0.04, 0.8
    n = needed(base, effect, 0.5, power=power)
    assert smallest_visible(n, base, 0.5, power=power) == pytest.approx(effect, rel=1e-3)
    rng = np.random.default_rng(2)
    half, found = n // 2, 0
    for _ in range(400):
        treated, control = rng.binomial(half, base + effect), rng.binomial(half, base)
        sizes = sample_ratio({"a": half, "b": half}, {"a": 1, "b": 1})
        answer = verdict(Count(half, int(treated)), Count(half, int(control)), sizes, weight=0.5, planned=n)
        found += answer.difference.low > 0
    assert found / 400 == pytest.approx(power, abs=0.06)


@pytest.mark.parametrize("bad", [(0.0, 0.1, 0.5), (0.1, 0.0, 0.5), (0.1, 0.1, 1.0)])
def test_a_plan_without_sense_is_refused(bad: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="lies"):
        needed(*bad)
