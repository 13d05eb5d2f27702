"""Whether counts by group agree with the shares that were intended: a test that may be looked at after every unit.

The e-value is the probability of the counts under a Dirichlet mixture, divided by that under the intended shares. If
the shares are as intended, the probability that it ever reaches 1/alpha is at most alpha (Ville's inequality).

Source: M. Lindon, A. Malek, "Anytime-valid inference for multinomial count data", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, fsum, lgamma, log


def log_e_value(counts: Sequence[int], shares: Sequence[float], concentration: float) -> float:
    """The logarithm of the e-value of these counts against the intended shares, each above 0, which sum to one.

    `concentration` is the weight of the mixture around the intended shares, in units. A large one finds small
    deviations late, a small one large deviations early. It must be fixed before the first look.
    """
    _valid(counts, shares, concentration)
    prior = [concentration * share for share in shares]
    after = [before + count for before, count in zip(prior, counts, strict=True)]
    intended = fsum(count * log(share) for count, share in zip(counts, shares, strict=True))
    return _log_beta(after) - _log_beta(prior) - intended


def p_value(log_e: float) -> float:
    """The p value of an e-value's logarithm; valid at any time, as that is."""
    return exp(-max(log_e, 0.0))


def _log_beta(values: Sequence[float]) -> float:
    """The logarithm of the multivariate beta function."""
    return fsum(lgamma(value) for value in values) - lgamma(fsum(values))


def _valid(counts: Sequence[int], shares: Sequence[float], concentration: float) -> None:
    if len(counts) != len(shares) or len(counts) < 2:
        raise ValueError(f"{len(counts)} counts and {len(shares)} shares cannot be compared")
    if min(shares) <= 0 or abs(fsum(shares) - 1) > 1e-9:
        raise ValueError(f"shares are positive and sum to one, unlike {list(shares)}")
    if min(counts) < 0 or concentration <= 0:
        raise ValueError("counts are not negative, and the concentration is positive")
