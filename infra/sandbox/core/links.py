"""Links of an email: find them when it is accepted, and send them through the click tracker when it is shown."""

from __future__ import annotations

import html as entities
import re
from collections.abc import Callable

_COMMENT_OR_ANCHOR = re.compile(
    r"""<!--.*?-->|(?P<start><a\b(?P<attributes>[^>]*?)\bhref\s*=\s*)(?P<quote>["'])(?P<url>.*?)(?P=quote)""",
    re.IGNORECASE | re.DOTALL,
)
_PICTURE = re.compile(r"""<!--.*?-->|<img\b[^>]*?\bsrc\s*=\s*["'](?P<url>https?://[^"']*)""", re.IGNORECASE | re.DOTALL)
_PLAIN_URL = re.compile(r"https?://[^\s<>\"')\]]+[^\s<>\"')\].,;:!?]")
_NOT_FOR_READERS = ("ses:no-track", 'aria-hidden="true"')
_WEB = ("http://", "https://")


def find_links(html: str, text: str) -> list[str]:
    """The web links of a message in reading order, each once; of the text if there is no HTML."""
    found: list[str] = []
    if html:
        _anchors(html, lambda url: found.append(url) or None)  # type: ignore[func-returns-value]
    else:
        found = _PLAIN_URL.findall(text)
    return list(dict.fromkeys(found))


def find_pictures(html: str) -> list[str]:
    """The web addresses of an email's pictures, which a mail program loads to show the email."""
    return [entities.unescape(match["url"]) for match in _PICTURE.finditer(html) if match["url"]]


def track_links(html: str, tracked: Callable[[str], str | None]) -> str:
    """The HTML with each link's target replaced by the result of `tracked` (None: unchanged)."""
    return _anchors(html, tracked)


def link_text(text: str, tracked: Callable[[str], str | None]) -> str:
    """Plain text as HTML. Every web address becomes a link to the result of `tracked`."""
    parts, last = [], 0
    for match in _PLAIN_URL.finditer(text):
        url = match.group()
        target = entities.escape(tracked(url) or url)
        parts.append(entities.escape(text[last : match.start()]))
        parts.append(f'<a href="{target}" target="_blank" rel="noopener noreferrer">{entities.escape(url)}</a>')
        last = match.end()
    return "".join(parts) + entities.escape(text[last:])


def one_click_url(list_unsubscribe: str) -> str:
    """The web address in a List-Unsubscribe header, or an empty string."""
    return next((u for u in re.findall(r"<([^>]+)>", list_unsubscribe) if u.startswith(_WEB)), "")


def _anchors(html: str, replace: Callable[[str], str | None]) -> str:
    def swap(match: re.Match[str]) -> str:
        if match["url"] is None or any(mark in match["attributes"] for mark in _NOT_FOR_READERS):
            return match.group()
        url = entities.unescape(match["url"]).strip()
        target = replace(url) if url.startswith(_WEB) else None
        if target is None:
            return match.group()
        return f"{match['start']}{match['quote']}{entities.escape(target)}{match['quote']}"

    return _COMMENT_OR_ANCHOR.sub(swap, html)
