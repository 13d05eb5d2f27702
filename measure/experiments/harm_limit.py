"""Whether a rate of harm (complaints, unsubscribes) is above its limit: a test for any number of looks.

The e-value is the mean of likelihood ratios of rates above the limit against the limit. Each is a supermartingale for
every rate at or below the limit, so it reaches 1/alpha with a probability of at most alpha (Ville's inequality). See A.
Ramdas, P. Grünwald, V. Vovk, G. Shafer, "Game-theoretic statistics and safe anytime-valid inference", Statistical
Science 38 (2023), 576-601.
"""

from __future__ import annotations

from math import exp, fsum, log, log1p

from measure.intervals import Count

_TIMES = (1.25, 1.5, 2.0, 3.0, 5.0)
"""How many times the limit the rates are that the test looks for."""
CROSSED = 100.0
"""From this e-value on the limit is taken as crossed: at most one harmless sender in a hundred ever reaches it."""


def log_harm(count: Count, limit: float) -> float:
    """The logarithm of the evidence that the rate is above `limit`, which lies between 0 and 0.2."""
    if not 0 < limit < 1 / max(_TIMES):
        raise ValueError(f"a limit of harm lies between 0 and {1 / max(_TIMES)}, not at {limit}")
    terms = [count.hits * log(m) + count.rest * (log1p(-m * limit) - log1p(-limit)) for m in _TIMES]
    largest = max(terms)
    return largest + log(fsum(exp(term - largest) for term in terms) / len(terms))


def crossed(count: Count, limit: float) -> bool:
    """Whether the rate is above the limit, by now for sure."""
    return log_harm(count, limit) >= log(CROSSED)
