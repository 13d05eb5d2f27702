"""Leading a finished message's links past the click counter, and everything else of it as it was, to the byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from html import escape

from tracks.content.markup.markup import ATTRIBUTE, QUOTED, unescape_attribute, written
from tracks.shared.link_tokens import MAX_NUMBER

Keeps = Callable[[str], bool]
"""Whether an address stays as it is: the ways out, and others of our own."""

# Start tags of links, not those in comments, scripts or styles. A serializer of HTML 5 (css-inline) wrote the page:
# its quotes are closed. This takes a fraction of the time of a parser of the whole page.
_ANCHOR = re.compile(
    r"""<!--.*?(?:-->|\Z)|<(?P<raw>script|style|title|textarea)\b.*?(?:</(?P=raw)\s*>|\Z)"""
    r"""|(?:(?P<anchor><a(?=[\s/]))|</?[a-z!?])""" + QUOTED,
    re.IGNORECASE | re.DOTALL,
)
_BODY_END = re.compile(r"</body\s*>", re.IGNORECASE)
_URL = re.compile(r"""https?://[^\s<>"'\\^`{|}]+""", re.IGNORECASE)
_RUN = re.compile(r"""https?://[^\s<>"]+""", re.IGNORECASE)
"""What begins like an address; more than one address may not, and the one that goes on is another one."""
_CLOSING = frozenset(")].,;:!?'")
_AFTER = re.compile(r"""[)\].,;:!?'">]*+(?:\s|$)""")
_TRAILING = ".,;:!?'\""
_PAIRS = {")": "(", "]": "["}
MAX_ADDRESS = 2_000
"""Characters of a web address in a plain text that is tracked; a longer one stays as it is."""
_UNSEEN = 'aria-hidden="true" tabindex="-1" style="display:none"'
_PIXEL = 'width="1" height="1" alt="" style="display:block"'


@dataclass(frozen=True, slots=True)
class _Edit:
    """`html[start:end]` is a link's address, or with no `url` a mark that goes."""

    start: int
    end: int
    url: str = ""


class Page:
    """An email's HTML with its links found. `keeps` says which addresses stay as they are."""

    def __init__(self, html: str, keeps: Keeps) -> None:
        self._html = html
        anchors = (found.span() for found in _ANCHOR.finditer(html) if found["anchor"] and found[0][-1] == ">")
        self._edits = [edit for start, end in anchors for edit in _anchor(html, start, end, keeps)]
        self.links = list(dict.fromkeys(edit.url for edit in self._edits if edit.url))[:MAX_NUMBER]
        """The targets to be tracked, each once, in reading order."""

    def track(self, addresses: Mapping[str, str], *, decoy: str = "", pixel: str = "") -> str:
        """The HTML with its links led through `addresses` (by target), and what is added at the end of the body.

        Marks that keep a link out (`data-track="off"`) go. `decoy` is where the link leads that no person can see
        or hear, `pixel` the address of the picture; each is left out where it is empty.
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
    """The text part of an email whose HTML was tracked: the same targets lead the same way."""
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
    """Addresses as they are looked up at a run of a text: not each of them at each run."""

    def __init__(self, addresses: Collection[str]) -> None:
        self._addresses = addresses
        self._lengths = {len(url) for url in addresses}
        self._longer: dict[str, list[str]] = {}
        """Those that are more than one run, such as one with a space, by the run with which they begin."""
        for url in sorted(addresses, key=len, reverse=True):
            run = _RUN.match(url)
            if run and run[0] != url:
                self._longer.setdefault(run[0], []).append(url)

    def ends(self, text: str, found: re.Match[str]) -> Iterator[int]:
        """Where each of them would end that begins with this run, the longest first."""
        run, start = found[0], found.start()
        for url in self._longer.get(run, ()):
            if text.startswith(url, start):
                yield start + len(url)
        for length in range(len(run), 0, -1):
            if length in self._lengths and run[:length] in self._addresses:  # not cut out at each of many closing marks
                yield start + length
                return
            if run[length - 1] not in _CLOSING:
                return


def track_text(text: str, addresses: Mapping[str, str]) -> str:
    """A plain text with its web addresses led through `addresses` (by target)."""
    parts, last = [], 0
    for start, url in _addresses(text):
        if url in addresses:
            parts += [text[last:start], addresses[url]]
            last = start + len(url)
    return "".join(parts) + text[last:]


def _addresses(text: str) -> Iterator[tuple[int, str]]:
    """Where each web address begins, without the punctuation of the sentence around it."""
    for found in _URL.finditer(text):
        url = found[0][: _end(found[0])]
        if len("https://") < len(url) <= MAX_ADDRESS:
            yield found.start(), url


def _end(url: str) -> int:
    """How far an address goes: the marks of the sentence after it and brackets that it did not open are not its own."""
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
    """What changes in one start tag of a link."""
    found: dict[str, re.Match[str]] = {}
    for attribute in ATTRIBUTE.finditer(html, start + 2, end):
        found.setdefault(attribute["name"].lower(), attribute)  # as browsers do, the first of a name counts
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
    """The web address in an `href` as a browser reads it, or an empty text: mail, phone, anchor, relative."""
    url = re.sub(r"[\t\r\n]", "", unescape_attribute(value)).strip("".join(map(chr, range(33))))
    return url if re.match(r"https?://[^/?#\s]", url, re.IGNORECASE) and "\x00" not in url else ""
