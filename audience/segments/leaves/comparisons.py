"""Comparisons with a number, as segments write them: `'>= 3'`, `'> 499.90'`."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Annotated, Any, NamedTuple

from pydantic import BeforeValidator, PlainSerializer
from pydantic.json_schema import WithJsonSchema

from tracks.model.values import wrong

MAX_TIMES = 1_000
"""The largest number of events that a leaf may count to: each evaluation reads that many."""

COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_SIGN = r"\s*(>=|<=|==|>|<)\s*"


class Times(NamedTuple):
    """How often something has to have happened."""

    comparison: str
    number: int

    def hold(self, count: int) -> bool:
        """Whether that many are right."""
        return COMPARISONS[self.comparison](count, self.number)

    def __str__(self) -> str:
        return f"{self.comparison} {self.number}"


class Comparison(NamedTuple):
    """A comparison with any number, which is kept exactly as it is written."""

    comparison: str
    number: Fraction
    written: str

    def holds(self, value: Fraction | int) -> bool:
        """Whether the value is right."""
        return COMPARISONS[self.comparison](value, self.number)

    def holds_by(self, difference: Fraction | int) -> bool:
        """Whether a value is right that differs from the number by so much, or by anything of this sign."""
        return COMPARISONS[self.comparison](difference, 0)

    def __str__(self) -> str:
        return f"{self.comparison} {self.written}"


def _times(value: Any) -> Times:
    if isinstance(value, Times):
        return value
    match = re.fullmatch(_SIGN + r"(\d{1,9})\s*", value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        many = f"; did you mean '>= {value}'?" if isinstance(value, int) and not isinstance(value, bool) else ""
        raise wrong(f"should be a comparison in quotes, such as '>= 3' or '== 1'{many}")
    times = Times(match[1], int(match[2]))
    if times.number > MAX_TIMES:
        raise wrong(f"counts further than {MAX_TIMES:,}")
    if len({times.hold(count) for count in range(MAX_TIMES + 2)}) == 1:
        raise wrong(f"'{times}' is {'always' if times.hold(0) else 'never'} true")
    return times


def _comparison(value: Any) -> Comparison:
    if isinstance(value, Comparison):
        return value
    pattern = _SIGN + r"(-?\d{1,15}(\.\d{1,9})?)\s*"
    match = re.fullmatch(pattern, value, re.ASCII) if isinstance(value, str) else None
    if match is None:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        raise wrong(
            "should be a comparison in quotes, such as '> 500' or '<= 9.90'"
            + (f"; did you mean '>= {value}'?" if number else "")
        )
    return Comparison(match[1], Fraction(match[2]), match[2])


Counting = Annotated[
    Times,
    BeforeValidator(_times),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(>=|<=|==|>|<) ?\d+$", "examples": [">= 3"]}),
]
Comparing = Annotated[
    Comparison,
    BeforeValidator(_comparison),
    PlainSerializer(str, return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^(>=|<=|==|>|<) ?-?\d+(\.\d+)?$", "examples": ["> 500"]}),
]
