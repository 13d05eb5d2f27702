"""Whether the groups have the sizes that were intended. If not, people were lost on one side, and no figure is true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, log

from measure.experiments.dirichlet import log_e_value, p_value

CONCENTRATION = 10_000
"""With 100, 50,700 against 49,300 at equal weights is not found, which a chi-squared test gives a p of 0.00001."""
MISMATCH = 1_000.0
"""From this e-value on a report is not believed: at most one honest experiment in a thousand ever reaches it."""


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """The sizes of the groups beside the intended ones. `p` is valid at any time."""

    sizes: Mapping[str, int]
    intended: Mapping[str, float]
    p: float
    mismatch: bool


def sample_ratio(sizes: Mapping[str, int], weights: Mapping[str, float]) -> SampleRatio:
    """Compare the numbers of exposed units by arm with the weights. Arms of weight 0 are left out, as nobody is due."""
    arms = [arm for arm, weight in weights.items() if weight > 0]
    total = fsum(weights[arm] for arm in arms)
    intended = {arm: weights[arm] / total for arm in arms}
    found = {arm: sizes.get(arm, 0) for arm in arms}
    if len(arms) < 2:
        return SampleRatio(found, intended, 1.0, False)
    evidence = log_e_value(list(found.values()), list(intended.values()), CONCENTRATION)
    return SampleRatio(found, intended, p_value(evidence), evidence >= log(MISMATCH))
