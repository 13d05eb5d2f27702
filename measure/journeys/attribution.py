"""Which messages a conversion is credited to, by a model that is always named.

No model says what a message caused: that is what a holdout is for. Each model divides one conversion among the touches
before it, so that nothing is counted twice. What has no touch within the window is unattributed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from fractions import Fraction
from typing import Literal, NamedTuple

Model = Literal["last", "first", "linear", "decay", "position"]
"""`last`, `first`: that touch alone. `linear`: all alike. `decay`: half as much for each half-life before the
conversion. `position`: two fifths each for the first and the last, the rest for those between."""


class Touch(NamedTuple):
    """A message that met the contact: its moment, then its id, by which two at one moment are ordered."""

    at: datetime
    message_id: str


def credit(
    touches: Sequence[Touch],
    converted_at: datetime,
    model: Model,
    *,
    window: timedelta,
    half_life: timedelta = timedelta(days=7),
) -> dict[str, Fraction]:
    """The share of a conversion for each message id: exact fractions, which sum to one, or nothing if none counts.

    A touch counts from `window` before the conversion up to its moment. A message with several touches has all their
    shares.
    """
    counted = sorted(touch for touch in touches if converted_at - window <= touch.at <= converted_at)
    if not counted:
        return {}
    weights = _WEIGHTS[model](counted, converted_at, half_life)
    total = sum(weights, Fraction(0))
    found: dict[str, Fraction] = {}
    for touch, weight in zip(counted, weights, strict=True):
        if weight:
            found[touch.message_id] = found.get(touch.message_id, Fraction(0)) + weight / total
    return found


def divided(amount: int, shares: Mapping[str, Fraction]) -> dict[str, int]:
    """An amount in minor units by these shares (which sum to one), without a rest and without a unit too many.

    The units that are left over go to the largest remainders, and among equal ones to the first id. A refund, which is
    a negative amount, is divided as its purchase was.
    """
    if not shares:
        return {}
    sign, size = (-1, -amount) if amount < 0 else (1, amount)
    whole = {key: int(size * share) for key, share in shares.items()}
    left = size - sum(whole.values())
    by_rest = sorted(shares, key=lambda key: (whole[key] - size * shares[key], key))
    for key in by_rest[:left]:
        whole[key] += 1
    return {key: sign * value for key, value in whole.items()}


def _last(touches: Sequence[Touch], _at: datetime, _half_life: timedelta) -> list[Fraction]:
    return [Fraction(0)] * (len(touches) - 1) + [Fraction(1)]


def _first(touches: Sequence[Touch], _at: datetime, _half_life: timedelta) -> list[Fraction]:
    return [Fraction(1)] + [Fraction(0)] * (len(touches) - 1)


def _linear(touches: Sequence[Touch], _at: datetime, _half_life: timedelta) -> list[Fraction]:
    return [Fraction(1)] * len(touches)


def _decay(touches: Sequence[Touch], at: datetime, half_life: timedelta) -> list[Fraction]:
    # The nearest touch weighs one: only the differences matter, and far ones do not vanish all together.
    nearest = touches[-1].at
    return [Fraction(0.5 ** ((nearest - touch.at) / half_life)) for touch in touches]


def _position(touches: Sequence[Touch], _at: datetime, _half_life: timedelta) -> list[Fraction]:
    between = len(touches) - 2
    if between <= 0:
        return [Fraction(1)] * len(touches)
    return [Fraction(2, 5), *[Fraction(1, 5 * between)] * between, Fraction(2, 5)]


_WEIGHTS: Mapping[Model, Callable[[Sequence[Touch], datetime, timedelta], list[Fraction]]] = {
    "last": _last,
    "first": _first,
    "linear": _linear,
    "decay": _decay,
    "position": _position,
}
