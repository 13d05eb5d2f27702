"""Refuse Liquid texts that the language's own lexer would take very long to read.

The lexer uses regular expressions with look-ahead. They restart at each character of an output that is never closed, of
a long run of spaces before a closing delimiter, and of an unmatched bracket: 16,000 characters took a minute. Each
rule here lets real templates pass. The check itself takes time in proportion to the length of the text.
"""

from __future__ import annotations

import re

from liquid.exceptions import LiquidSyntaxError
from liquid.token import TOKEN_CONTENT, Token

MAX_SPACES = 200
"""Spaces and line breaks in a row within one tag or output."""
MAX_BRACKETS = 100
"""Opening brackets within one tag or output, or within one line of a `liquid` tag."""
MAX_BRACES = 10
"""Braces of plain text right before a tag (`{{% if … %}`) in a text where no further output is closed."""

_OPENS = re.compile(r"\{\{|\{%")
_VERBATIM = re.compile(r"\{%-?\s*(?P<name>raw|doc)\s*-?%\}")
_VERBATIM_ENDS = {name: re.compile(rf"\{{%-?\s*end{name}\s*-?%\}}") for name in ("raw", "doc")}
_SPACES = re.compile(rf"\s{{{MAX_SPACES + 1}}}")
_LINES = re.compile(r"\{%-?\s*liquid\b")
_CLOSES = {"{{": "}}", "{%": "%}"}


def check_delimiters(source: str) -> None:
    """Refuse a text that would take long to parse.

    Raises:
        LiquidSyntaxError: a tag or an output is not closed, or has a long run of spaces or too many brackets. The
            error's token gives the position.
    """
    at = braces = 0
    while opening := _OPENS.search(source, at):
        start = opening.start()
        verbatim = _VERBATIM.match(source, start)
        if verbatim is not None:
            end = _VERBATIM_ENDS[verbatim["name"]].search(source, verbatim.end())
            if end is None:
                raise _error(f"expected tag end{verbatim['name']}, found end of file", source, start)
            at = end.end()
            continue
        mark = _CLOSES[opening[0]]
        close = source.find(mark, opening.end())
        if close < 0 and opening[0] == "{{" and source.startswith(("{%", "{{"), start + 1) and braces < MAX_BRACES:
            at, braces = start + 1, braces + 1  # a brace of plain text before a tag
            continue
        if close < 0:
            raise _error(f"expected '{mark}', found end of file", source, start)
        _check_inside(source, start, close)
        at = close + len(mark)


def _check_inside(source: str, start: int, close: int) -> None:
    spaces = _SPACES.search(source, start + 2, close)
    if spaces is not None:
        raise _error(f"more than {MAX_SPACES} spaces in a row", source, spaces.start())
    if close - start <= MAX_BRACKETS:
        return
    inside = source[start:close]
    for line in inside.splitlines() if _LINES.match(inside) else (inside,):
        if line.count("(") + line.count("[") > MAX_BRACKETS:
            raise _error(f"more than {MAX_BRACKETS} brackets in one expression", source, start)


def _error(message: str, source: str, at: int) -> LiquidSyntaxError:
    return LiquidSyntaxError(message, token=Token(TOKEN_CONTENT, source[at : at + 20], at, source))
