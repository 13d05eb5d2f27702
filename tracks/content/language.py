"""The Liquid that templates are written in: the standard language, bounded, and without what it must not do."""

from __future__ import annotations

from collections.abc import Callable, Sized
from functools import lru_cache, wraps

from liquid import BoundTemplate, Environment
from liquid.exceptions import FilterArgumentError

MAX_OUTPUT = 500_000
"""Bytes that one rendering may produce; an email over about 100 kB is clipped by some readers anyway."""
MAX_LOOPS = 10_000
MAX_LOCALS = 50_000
_MAX_FILTERED = 200_000

_REMOVED_TAGS = ("include", "render", "increment", "decrement")  # no other files to include, no hidden counters
_REMOVED_FILTERS = ("safe",)  # what a contact or an event says is never HTML


class _Language(Environment):
    """Liquid with the limits that keep one template from taking a worker down."""

    output_stream_limit = MAX_OUTPUT
    loop_iteration_limit = MAX_LOOPS
    local_namespace_limit = MAX_LOCALS
    context_depth_limit = 20
    block_nesting_limit = 40


def _bounded(filter_function: Callable[..., object], length: Callable[..., int]) -> Callable[..., object]:
    """A filter that multiplies lengths, refused before it does: the limits above see only finished results."""

    @wraps(filter_function)
    def bounded(value: object, *args: object, **kwargs: object) -> object:
        if length(value, *args) > _MAX_FILTERED:
            raise FilterArgumentError("the filter's result would be too long", token=None)
        return filter_function(value, *args, **kwargs)

    return bounded


def _replaced_length(value: object, sought: object = "", new: object = "") -> int:
    text = str(value)
    return len(text) + text.count(str(sought)) * len(str(new))


def _joined_length(value: object, separator: object = " ") -> int:
    return len(value) * len(str(separator)) if isinstance(value, Sized) else 0


def _language(*, autoescape: bool) -> Environment:
    environment = _Language(autoescape=autoescape)
    for tag in _REMOVED_TAGS:
        del environment.tags[tag]
    for name in _REMOVED_FILTERS:
        del environment.filters[name]
    environment.filters["replace"] = _bounded(environment.filters["replace"], _replaced_length)
    environment.filters["join"] = _bounded(environment.filters["join"], _joined_length)
    return environment


_MARKUP = _language(autoescape=True)
_TEXT = _language(autoescape=False)
FILTERS = frozenset(_TEXT.filters)


@lru_cache(maxsize=1024)
def compiled(source: str, *, markup: bool) -> BoundTemplate:
    """A parsed Liquid source; `markup` escapes values for HTML.

    Raises:
        liquid.exceptions.LiquidError: the source is not valid Liquid.
    """
    return (_MARKUP if markup else _TEXT).from_string(source)
