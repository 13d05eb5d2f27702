"""Find start tags, end tags and texts of HTML and MJML, in time proportional to the length of the source.

No pattern here backtracks: each one matches on, or ends at the end of the text, even where a tag is not closed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from html.entities import html5

QUOTED = r"""(?:[^>"']++|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))*+(?:>|\Z)"""
"""The rest of a tag up to its `>`, or up to the end of the text."""
ATTRIBUTE = re.compile(
    r"""(?P<name>[^\s"'>/=][^\s/>=]*+)(?:\s*+=\s*+(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s>]+)))?"""
)
_TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<[!?][^>]*+(?:>|\Z)"
    r"|<(?P<end>/?)(?P<name>[A-Za-z][^\s/>]*+)(?P<rest>" + QUOTED + r")|(?P<text>[^<]++|<)",
    re.DOTALL,
)
_RAW = {name: re.compile(rf"</{name}\b", re.IGNORECASE) for name in ("script", "style")}
_REFERENCE = re.compile(r"&(?:#[xX]?[0-9a-fA-F]+;?|[A-Za-z][A-Za-z0-9]*+;?)")


@dataclass(frozen=True, slots=True)
class Token:
    """A text, or a tag with its name in lower case. A tag is a `start`, an `end`, or `empty`, which is both at once."""

    kind: str
    name: str = ""
    text: str = ""
    """Of a text: the text as a reader sees it. Of a tag: what follows its name."""
    at: int = 0
    """The position in the source at which it begins."""


def tokens(source: str) -> Iterator[Token]:
    """The tags and texts of a page, without comments and without the content of scripts and styles."""
    at = 0
    while at < len(source):
        found = _TOKEN.match(source, at)
        assert found is not None  # the last alternative matches any character
        start, at = at, found.end()
        if found["text"] is not None:
            yield Token("text", text=unescape(found["text"]), at=start)
        elif found["name"] is not None and found[0].endswith(">"):
            name, rest = found["name"].lower(), found["rest"]
            kind = "end" if found["end"] else "empty" if rest.endswith("/>") else "start"
            yield Token(kind, name, rest, start)
            if kind == "start" and name in _RAW:
                close = _RAW[name].search(source, at)
                at = close.start() if close is not None else len(source)


def attributes(rest: str) -> dict[str, str]:
    """The attributes of a tag by their names in lower case. The first of several equal names counts, as in browsers."""
    values: dict[str, str] = {}
    for found in ATTRIBUTE.finditer(rest):
        values.setdefault(found["name"].lower(), unescape_attribute(written(found) or ""))
    return values


def written(attribute: re.Match[str]) -> str | None:
    """An attribute's value as written in the page; None if it has no value."""
    return next((attribute[kind] for kind in ("double", "single", "bare") if attribute[kind] is not None), None)


def unescape_attribute(value: str) -> str:
    """An attribute's value as a browser reads it.

    HTML 5 ("named character reference state"): in an attribute, a name without its semicolon before `=`, a letter or
    a digit is no reference. So `?a=1&currency=EUR` stays unchanged in an attribute; in a text it would be `¤cy`.
    """
    return _REFERENCE.sub(lambda found: _referred(found, value), value) if "&" in value else value


def _referred(found: re.Match[str], value: str) -> str:
    name = found[0][1:]
    if name.startswith("#"):
        return unescape(found[0])
    if name in html5 and (name.endswith(";") or not value.startswith("=", found.end())):
        return html5[name]
    return found[0]
