"""The Liquid dialect of the templates: the standard language with limits, without some tags and filters."""

from __future__ import annotations

from functools import lru_cache, wraps

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidSyntaxError

from tracks.content.liquid.delimiters import check_delimiters
from tracks.content.liquid.limits import MAX_LOOPS, bounded
from tracks.content.liquid.local_time_filter import date_by_its_own_zone, local_time
from tracks.content.liquid.metering import LimitedTemplate

MAX_OUTPUT = 500_000
"""Bytes that one rendering may produce; some mail readers clip an email over about 100 kB anyway."""
MAX_LOCALS = 50_000

_REMOVED_TAGS = ("include", "render", "increment", "decrement")  # no other files to include, no hidden counters
_REMOVED_FILTERS = ("safe",)  # data from a contact or an event is never HTML


class _Language(Environment):
    """Liquid with limits, so that one template cannot take a worker down."""

    template_class = LimitedTemplate
    output_stream_limit = MAX_OUTPUT
    loop_iteration_limit = MAX_LOOPS
    local_namespace_limit = MAX_LOCALS
    context_depth_limit = 20
    block_nesting_limit = 40


def _language(*, autoescape: bool) -> Environment:
    environment = _Language(autoescape=autoescape)
    for tag in _REMOVED_TAGS:
        del environment.tags[tag]
    for name in _REMOVED_FILTERS:
        del environment.filters[name]
    default = environment.filters["default"]

    @wraps(default)
    def default_for_blanks(value: object, *args: object, **kwargs: object) -> object:
        """`default` that also replaces a text of only spaces."""
        return default("" if isinstance(value, str) and not value.strip() else value, *args, **kwargs)

    environment.filters["default"] = default_for_blanks
    environment.filters["local_time"] = local_time
    environment.filters["date"] = date_by_its_own_zone(environment.filters["date"])
    for name, function in environment.filters.items():
        environment.filters[name] = bounded(name, function)
    return environment


_MARKUP = _language(autoescape=True)
_TEXT = _language(autoescape=False)
FILTERS = frozenset(_TEXT.filters)


@lru_cache(maxsize=1024)
def compiled(source: str, *, markup: bool) -> BoundTemplate:
    """A parsed Liquid source. With `markup`, values are escaped for HTML.

    Raises:
        liquid.exceptions.LiquidError: the source is not valid Liquid.
    """
    check_delimiters(source)
    try:
        return (_MARKUP if markup else _TEXT).from_string(source)
    except RecursionError:
        raise LiquidSyntaxError("an expression is nested too deep", token=None) from None
