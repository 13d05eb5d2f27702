"""What an experiment says by now, in one word with its reasons: nothing is said before it can be believed."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Literal

from measure.experiments.confidence_sequences import ALPHA, Difference, difference
from measure.experiments.conversion_ratio import Ratio, conversion_ratio
from measure.experiments.moments import of_count
from measure.experiments.sample_ratio import SampleRatio
from measure.intervals import Count

BURN_IN = 100
"""Exposed contacts in the smaller arm from which on anything is said."""
SETTLED = 30
"""Conversions in the arm with fewer of them, from which on the interval of the difference is believed.

It is asymptotic. With ten conversions it excluded the truth in 10 % of experiments instead of 5 % (measured at a weight
of 0.9). The ratio's interval is exact.
"""

Word = Literal["not believed", "too early", "better", "worse", "no difference worth having", "not clear yet"]
"""`not believed`: the arms do not have their intended sizes. `too early`: too few were exposed. `better`, `worse`: both
intervals say so. `no difference worth having`: the whole interval lies within the least effect worth having."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word, the difference of the rates, and their ratio. The difference has no ends before it is settled."""

    word: Word
    difference: Difference
    ratio: Ratio


def verdict(
    treated: Count,
    control: Count,
    ratio_of_samples: SampleRatio,
    *,
    weight: float,
    planned: float,
    worth_having: float = 0.0,
    alpha: float = ALPHA,
) -> Verdict:
    """What the conversions of two arms say. `weight` is the treated's share by intention; `worth_having` a difference.

    Two ways to judge must agree before an arm is called better or worse: the ratio of the conversions, which is exact,
    and, once it is settled, the difference of the rates.
    """
    gap = difference(of_count(treated), of_count(control), planned, alpha)
    if min(treated.hits, control.hits) < SETTLED:
        gap = Difference(gap.estimate, -inf, inf, 1.0)
    ratio = conversion_ratio(treated.hits, control.hits, weight, alpha)
    return Verdict(_word(treated, control, ratio_of_samples, gap, ratio, worth_having), gap, ratio)


def _word(
    treated: Count, control: Count, sizes: SampleRatio, gap: Difference, ratio: Ratio, worth_having: float
) -> Word:
    if sizes.mismatch:
        return "not believed"
    if min(treated.of, control.of) < BURN_IN:
        return "too early"
    settled = isfinite(gap.low)
    if ratio.low > 1 and (gap.low > 0 or not settled):
        return "better"
    if ratio.high < 1 and (gap.high < 0 or not settled):
        return "worse"
    if -worth_having < gap.low and gap.high < worth_having:
        return "no difference worth having"
    return "not clear yet"
