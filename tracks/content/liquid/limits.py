"""Limits that keep one template from taking a process down: work is counted while a template runs, not timed.

Counting gives the same answer on every machine: a template that passes once for some data always passes. The cost of
each part of the language is in `tracks.content.liquid.metering`. This module has the meter, and the cost of filters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sized
from contextlib import contextmanager
from contextvars import ContextVar

from liquid.exceptions import FilterArgumentError, ResourceLimitError
from liquid.undefined import Undefined

from tracks.content.liquid.value_texts import text_of

MAX_LOOPS = 10_000
MAX_WORK = 500_000
"""Units (about a microsecond each) that one whole message may take."""
CHARACTERS_PER_UNIT = 20
_MAX_TEXT = 200_000
_MAX_ITEMS = 10_000
_MAX_DATE = 100
"""Longer texts are not parsed as dates: the parser is slow, and no date is that long."""
_BITS_PER_STEP = 64
_STEPS_PER_UNIT = 500
_OF_DATES = frozenset(("date", "local_time"))
_PAIRED = frozenset(("uniq",))
"""Filters that compare each item with every other."""


class WorkLimitError(ResourceLimitError):
    """The template does more work than a message needs."""


class _Meter:
    def __init__(self, left: int) -> None:
        self.left = left

    def charge(self, units: int) -> None:
        self.left -= units
        if self.left < 0:
            raise WorkLimitError("the template does too much", token=None)


_meter: ContextVar[_Meter | None] = ContextVar("meter", default=None)


@contextmanager
def one_message() -> Iterator[None]:
    """Everything that is rendered inside counts as the work of one message."""
    if _meter.get() is not None:
        yield
        return
    token = _meter.set(_Meter(MAX_WORK))
    try:
        yield
    finally:
        _meter.reset(token)


def work_done() -> int:
    """Units that the current message has taken so far; 0 outside of `one_message`."""
    meter = _meter.get()
    return 0 if meter is None else MAX_WORK - meter.left


@contextmanager
def counted() -> Iterator[Callable[[], int]]:
    """As `one_message`, without a limit. The yielded function returns the units charged so far."""
    meter = _Meter(sys.maxsize)
    token = _meter.set(meter)
    try:
        yield lambda: sys.maxsize - meter.left
    finally:
        _meter.reset(token)


def charge(units: int) -> None:
    """Count work. Raises WorkLimitError above the limit."""
    meter = _meter.get()
    if meter is not None:
        meter.charge(units)


def bounded(name: str, function: Callable[..., object]) -> Callable[..., object]:
    """The filter, with its work counted, and with too long arguments or results refused."""
    grows = _GROWS.get(name)
    of_texts = function.__module__ == "liquid.builtin.filters.string" and name not in _OF_LISTS_TOO

    def metered(value: object, *args: object, **kwargs: object) -> object:
        units = 1
        for given in (value, *args, *kwargs.values()):
            if isinstance(given, str):
                if len(given) > _MAX_TEXT:
                    raise FilterArgumentError("the filter is given too long a text", token=None)
                units += len(given) // CHARACTERS_PER_UNIT
            elif isinstance(given, int):
                units += (given.bit_length() // _BITS_PER_STEP) ** 2 // _STEPS_PER_UNIT
            elif isinstance(given, Sized) and not isinstance(given, Undefined):
                items = _length(given)
                if items > _MAX_ITEMS:
                    raise FilterArgumentError("the filter is given too long a list", token=None)
                looked_at = size_of(given)
                units += looked_at * looked_at // CHARACTERS_PER_UNIT if name in _PAIRED else looked_at
        charge(units)
        if grows is not None and grows(value, *args) > _MAX_TEXT:
            raise FilterArgumentError("the filter's result would be too long", token=None)
        if name in _OF_DATES and isinstance(value, str) and len(value) > _MAX_DATE:
            return value  # the same as for any text that is no date
        if name == "join":
            value = _texts_of(value)
        if name in _KEYED and args:
            args = (_as_text(args[0]), *args[1:])
        if of_texts:
            return function(_as_text(value), *map(_as_text, args), **kwargs)
        return function(value, *args, **kwargs)

    for attribute in ("with_context", "with_environment", "validate"):
        if hasattr(function, attribute):
            setattr(metered, attribute, getattr(function, attribute))
    return metered


_KEYED = frozenset((
    "map", "sort", "sort_natural", "where", "reject", "find", "find_index", "has", "uniq", "compact", "sum",
))  # fmt: skip
"""Filters that take the name of a field of each item, and convert that name to a text for each item."""
_OF_LISTS_TOO = frozenset(("slice",))
"""Filters of the text module that accept a list unchanged."""


def _as_text(value: object) -> object:
    """A value as Liquid prints it, for filters that take texts: without this they would print it as Python does."""
    return text_of(value) if isinstance(value, bool | list | tuple | dict) else value


def _texts_of(value: object) -> object:
    """A list's items as Liquid prints them, including the items of inner lists."""
    if not isinstance(value, list | tuple):
        return [text_of(value)] if value is None or isinstance(value, bool | dict) else value
    texts: list[object] = []
    for item in value:
        texts += _texts_of(item) if isinstance(item, list | tuple) else [text_of(item)]  # type: ignore[arg-type]
    return texts


def size_of(value: object) -> int:
    """Units for reading a value completely: its items, the items within them, and their texts."""
    if isinstance(value, str):
        return len(value) // CHARACTERS_PER_UNIT
    if isinstance(value, range):
        return _length(value)
    if not isinstance(value, list | tuple | dict):
        return 0
    units, left = 0, [value]
    while left:
        for item in _items(left.pop()):
            units += 1
            if isinstance(item, str):
                units += len(item) // CHARACTERS_PER_UNIT
            elif isinstance(item, list | tuple | dict):
                left.append(item)
    return units


def _items(value: list[object] | tuple[object, ...] | dict[str, object]) -> Iterator[object]:
    if isinstance(value, Mapping):
        yield from value
        yield from value.values()
    else:
        yield from value


def _length(value: Sized) -> int:
    try:
        return len(value)
    except OverflowError:  # a range longer than any list
        return _MAX_ITEMS + 1


def _replaced_length(value: object, sought: object = "", new: object = "") -> int:
    text = str(value)
    return len(text) + text.count(str(sought)) * len(str(new))


def _joined_length(value: object, separator: object = " ") -> int:
    return _length(value) * len(str(separator)) if isinstance(value, Sized) else 0


_GROWS: dict[str, Callable[..., int]] = {"replace": _replaced_length, "join": _joined_length}
"""Filters whose result may be much longer than their input, and the length of the result."""
