"""Lead the links of a finished message through the click counter; every other byte of the message stays the same."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape

from tracks.content.markup.markup import ATTRIBUTE, QUOTED, unescape_attribute, written
from tracks.shared.link_tokens import MAX_NUMBER

Keeps = Callable[[str], bool]
"""Whether an address stays unchanged, such as an unsubscribe link or another link of our own."""

# Matches start tags of links, but not those in comments, scripts or styles. css-inline wrote the page as HTML 5, so its
# quotes are closed. This takes a fraction of the time of parsing the whole page.
_ANCHOR = re.compile(
    r"""<!--.*?(?:-->|\Z)|<(?P<raw>script|style|title|textarea)\b.*?(?:</(?P=raw)\s*>|\Z)"""
    r"""|(?:(?P<anchor><a(?=[\s/]))|</?[a-z!?])""" + QUOTED,
    re.IGNORECASE | re.DOTALL,
)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_URL = re.compile(r"""https?://[^\s<>"'\\^`{|}]+""", re.IGNORECASE)
_RUN = re.compile(r"""https?://[^\s<>"]+""", re.IGNORECASE)
"""All text that may belong to one address, also characters that `_URL` does not accept: an address that continues with
such a character is another address."""
_CLOSING = frozenset(")].,;:!?'")
_AFTER = re.compile(r"""[)\].,;:!?'">]*+(?:\s|$)""")
_TRAILING = ".,;:!?'\""
_PAIRS = {")": "(", "]": "["}
MAX_ADDRESS = 2_000
"""Characters of a tracked web address in a plain text; a longer address stays unchanged."""
_UNSEEN = 'aria-hidden="true" tabindex="-1" style="display:none"'
_PIXEL = 'width="1" height="1" alt="" style="display:block"'


@dataclass(frozen=True, slots=True)
class _Edit:
    """`html[start:end]` is a link's address, or, with an empty `url`, a `data-track` attribute to remove."""

    start: int
    end: int
    url: str = ""


class Page:
    """An email's HTML, with its links found. `keeps` tells which addresses stay unchanged."""

    def __init__(self, html: str, keeps: Keeps) -> None:
        self._html = html
        anchors = (found.span() for found in _ANCHOR.finditer(html) if found["anchor"] and found[0][-1] == ">")
        self._edits = [edit for start, end in anchors for edit in _anchor(html, start, end, keeps)]
        self.links = list(dict.fromkeys(edit.url for edit in self._edits if edit.url))[:MAX_NUMBER]
        """The targets to track, each once, in reading order."""

    def track(self, addresses: Mapping[str, str], *, decoy: str = "", pixel: str = "") -> str:
        """The HTML with its links replaced by `addresses` (by target), and with additions at the end of the body.

        `data-track="off"`, which excludes a link from tracking, is removed. `decoy` is the address of a link that no
        person can see or hear; `pixel` is the address of the tracking picture. An empty one adds nothing.
        """
        html, parts, last = self._html, [""], 0
        for edit in self._edits:
            if edit.url and edit.url not in addresses:
                continue
            parts += [html[last : edit.start], escape(addresses[edit.url]) if edit.url else ""]
            last = edit.end
        page = "".join(parts) + html[last:]
        added = f'<a {_UNSEEN} href="{escape(decoy)}"></a>' if decoy else ""
        added += f'<img src="{escape(pixel)}" {_PIXEL}>' if pixel else ""
        ends = list(_BODY_END.finditer(page)) if added else []
        at = ends[-1].start() if ends else len(page)
        return page[:at] + added + page[at:]


def find_addresses(text: str, keeps: Keeps) -> list[str]:
    """The web addresses in a plain text that are to be tracked, each once, in reading order."""
    return list(dict.fromkeys(url for _, url in _addresses(text) if not keeps(url)))[:MAX_NUMBER]


def track_part(text: str, addresses: Mapping[str, str]) -> str:
    """The text part of an email whose HTML is tracked, with the same targets replaced by the same addresses."""
    known = _Known(addresses)
    parts, last = [], 0
    for found in _RUN.finditer(text) if addresses else ():
        start = found.start()
        ends = known.ends(text, found) if start >= last else ()
        if end := next((end for end in ends if _AFTER.match(text, end)), 0):
            parts += [text[last:start], addresses[text[start:end]]]
            last = end
    return "".join(parts) + text[last:]


class _Known:
    """Finds known addresses at a position of a text, without trying each address at each position."""

    def __init__(self, addresses: Collection[str]) -> None:
        self._addresses = addresses
        self._lengths = {len(url) for url in addresses}
        self._longer: dict[str, list[str]] = {}
        """The addresses that are longer than one match of `_RUN` (one with a space, say), by that first match."""
        for url in sorted(addresses, key=len, reverse=True):
            run = _RUN.match(url)
            if run and run[0] != url:
                self._longer.setdefault(run[0], []).append(url)

    def ends(self, text: str, found: re.Match[str]) -> Iterator[int]:
        """The ends of the known addresses that begin with this match, the longest first."""
        run, start = found[0], found.start()
        for url in self._longer.get(run, ()):
            if text.startswith(url, start):
                yield start + len(url)
        for length in range(len(run), 0, -1):
            if length in self._lengths and run[:length] in self._addresses:  # the length check avoids costly slices
                yield start + length
                return
            if run[length - 1] not in _CLOSING:
                return


def track_text(text: str, addresses: Mapping[str, str]) -> str:
    """A plain text with its web addresses replaced by `addresses` (by target)."""
    parts, last = [], 0
    for start, url in _addresses(text):
        if url in addresses:
            parts += [text[last:start], addresses[url]]
            last = start + len(url)
    return "".join(parts) + text[last:]


def _addresses(text: str) -> Iterator[tuple[int, str]]:
    """The start of each web address, and the address without the punctuation of the sentence around it."""
    for found in _URL.finditer(text):
        url = found[0][: _end(found[0])]
        if len("https://") < len(url) <= MAX_ADDRESS:
            yield found.start(), url


def _end(url: str) -> int:
    """The length of the address without the punctuation that follows it and without brackets that it did not open."""
    counts = {mark: url.count(mark) for mark in "()[]"}
    end = len(url)
    while end:
        last = url[end - 1]
        if last in _PAIRS and counts[last] > counts[_PAIRS[last]]:
            counts[last] -= 1
        elif last not in _TRAILING:
            break
        end -= 1
    return end


def _anchor(html: str, start: int, end: int, keeps: Keeps) -> Iterator[_Edit]:
    """The changes to one start tag of a link."""
    found: dict[str, re.Match[str]] = {}
    for attribute in ATTRIBUTE.finditer(html, start + 2, end):
        found.setdefault(attribute["name"].lower(), attribute)  # the first of equal names counts, as in browsers
    href, mark = found.get("href"), found.get("data-track")
    if mark is not None and (written(mark) or "").strip().lower() == "off":
        before = mark.start()
        while html[before - 1].isspace():
            before -= 1
        yield _Edit(before, mark.end())
        return
    url = target(written(href) or "") if href is not None else ""
    if href is None or not url or keeps(url):
        return
    kind = next(kind for kind in ("double", "single", "bare") if href[kind] is not None)
    yield _Edit(href.start(kind), href.end(kind), url=url)


def target(value: str) -> str:
    """The web address in an `href` as a browser reads it; empty for a mail or phone link, an anchor, a relative one."""
    url = re.sub(r"[\t\r\n]", "", unescape_attribute(value)).strip("".join(map(chr, range(33))))
    return url if re.match(r"https?://[^/?#\s]", url, re.IGNORECASE) and "\x00" not in url else ""
