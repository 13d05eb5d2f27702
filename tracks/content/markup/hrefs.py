"""The addresses that links of a message may have: pages, mailboxes and phones, never an address that runs code.

A link that the author writes is checked at publishing. A link that data fills in is checked when the message is
rendered: a bad link is removed and its text stays.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from tracks.content.markup.markup import ATTRIBUTE, QUOTED, unescape_attribute, written

ALLOWED = frozenset(("http", "https", "mailto", "tel", "sms"))
"""Allowed schemes of links. An address without a scheme (an anchor, a relative address) is harmless."""
RUNNING = frozenset(("javascript", "vbscript", "data"))
"""Schemes that a mail program or browser might run; refused also in templates that were published earlier."""

_UNSEEN = re.compile("[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*+):")
_LINKING = frozenset(("href", "xlink:href", "action", "formaction"))
# For a page in lower case. Two patterns that begin with a word match much faster than one with an alternative.
_MAYBE = tuple(re.compile(name + r"""\s*+=\s*+(?:"([^"]*+)|'([^']*+)|([^\s>"']++))""") for name in ("href", "action"))
_TAG = re.compile(
    r"<(?P<raw>script|style|title|textarea)\b.*?(?:</(?P=raw)\s*>|\Z)|(?P<tag></?[a-z])" + QUOTED,
    re.IGNORECASE | re.DOTALL,
)


def scheme_of(address: str) -> str:
    """The scheme of an address as a browser reads it, in lower case; empty if it has none."""
    if ":" not in address:
        return ""
    found = _SCHEME.match(_UNSEEN.sub("", address))
    return found[1].lower() if found else ""


def refused_schemes(html: str, allowed: Collection[str] = ALLOWED) -> list[str]:
    """The schemes of a page's links that are not allowed, each once."""
    small = html.lower()
    links = (link for pattern in _MAYBE for link in pattern.finditer(small))
    found = (scheme_of(unescape_attribute(link[link.lastindex or 0])) for link in links)
    return list(dict.fromkeys(scheme for scheme in found if scheme and scheme not in allowed))


def without_links(html: str, schemes: Collection[str]) -> str:
    """The page without the links to these schemes; the text of a link stays."""
    parts, last = [], 0
    for tag in _TAG.finditer(html):
        if tag["tag"] is None:
            continue
        for attribute in ATTRIBUTE.finditer(html, tag.end("tag"), tag.end()):
            if (
                attribute["name"].lower() in _LINKING
                and scheme_of(unescape_attribute(written(attribute) or "")) in schemes
            ):
                parts.append(html[last : attribute.start()])
                last = attribute.end()
    return "".join(parts) + html[last:]
