"""Write the text part of an email from its MJML: what a reader sees, in order, each link followed by its address."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from tracks.content.markup.hrefs import ALLOWED, scheme_of
from tracks.content.markup.markup import attributes, tokens
from tracks.content.templates.template_model import Template

_BLOCKS = frozenset((
    "mj-text", "mj-button", "mj-image", "mj-table", "mj-raw", "mj-hero", "mj-section", "mj-column",
    "mj-wrapper", "mj-group", "mj-social-element", "mj-navbar-link", "mj-accordion-title", "mj-accordion-text",
    "p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "table", "tr", "blockquote",
))  # fmt: skip
_SPACED = frozenset((
    "mj-text", "mj-button", "mj-image", "mj-table", "mj-section", "p", "h1", "h2", "h3", "h4", "h5", "h6", "ul",
    "ol", "blockquote",
))  # fmt: skip
HTML = re.compile(
    r"<(?:!doctype|/?(?:html|head|body|table|tr|td|div|span|p|br|hr|a|b|i|u|em|strong|font|center|img|style|h[1-6]|ul|ol"
    r"|li|mj-[a-z-]+))(?:[\s/][^<>]*)?>",
    re.IGNORECASE,
)
"""HTML or MJML tags, which a plain-text message would show as they are written."""
_LINKS = frozenset(("mj-button", "mj-navbar-link", "mj-social-element"))
_HIDDEN = frozenset(("mj-head", "style", "script", "title"))
_ALONE = frozenset(("br", "hr", "img", "mj-image", "mj-divider"))
_SPACES = re.compile(r"[ \t\r\n\f\v]+")


def shown_as_text(template: Template, tag: str) -> str:
    """The message about a tag in a plain-text message."""
    said = f"people would read `{tag[:40]}` as it stands: a message without `<mjml>` is plain text"
    return f"{said}; write an email that is to look like a page in MJML" if template.kind == "email" else said


class _Writer:
    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self.out: list[str] = []
        self._hidden = 0
        self._links: list[tuple[str, int]] = []
        self._lists: list[int] = []

    def start(self, tag: str, values: Mapping[str, str]) -> None:
        if tag in _HIDDEN:
            self._hidden += 1
        elif tag == "br":
            self._break(1)
        elif tag in ("mj-divider", "hr"):
            self._line("---")
        elif tag in ("mj-image", "img"):
            self._picture(tag, values)
        elif tag == "li":
            self._item()
        elif tag in ("td", "th"):
            self._write(" ")
        elif tag in _BLOCKS:
            self._break(2 if tag in _SPACED else 1)
        if tag in ("ul", "ol"):
            self._lists.append(1 if tag == "ol" else 0)
        if tag == "a" or tag in _LINKS:
            self._links.append((self._address(values), len(self.out)))

    def end(self, tag: str) -> None:
        if tag in _HIDDEN:
            self._hidden = max(0, self._hidden - 1)
        elif tag == "a":
            self._close_link(" ({})")
        elif tag in _LINKS:
            self._close_link(": {}")
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        if tag in _BLOCKS:
            self._break(2 if tag in _SPACED else 1)

    def text(self, data: str) -> None:
        self._write(_SPACES.sub(" ", data))

    def _address(self, values: Mapping[str, str]) -> str:
        """The address of a link; empty if its scheme is not allowed."""
        address = values.get("href", "")
        scheme = scheme_of(address)
        return address if not scheme or scheme in self._allowed else ""

    def _write(self, text: str) -> None:
        if self._hidden or not text:
            return
        at_start = not self.out or self.out[-1].endswith(("\n", " "))
        text = text.lstrip(" ") if at_start else text
        if text:
            self.out.append(text)

    def _break(self, lines: int) -> None:
        if self._hidden:
            return
        while self.out and not self.out[-1].strip(" "):
            self.out.pop()
        tail = "".join(self.out[-2:])
        present = len(tail) - len(tail.rstrip("\n"))
        if self.out and present < lines:
            self.out.append("\n" * (lines - present))

    def _line(self, text: str) -> None:
        self._break(2)
        self._write(text)
        self._break(2)

    def _picture(self, tag: str, values: Mapping[str, str]) -> None:
        alt, href = values.get("alt", ""), self._address(values)
        if tag == "mj-image" and alt:
            self._line(f"{alt}: {href}" if href else alt)
        else:
            self._write(alt)

    def _item(self) -> None:
        self._break(1)
        number = self._lists[-1] if self._lists else 0
        if number:
            self._lists[-1] += 1
        self._write(f"{number}. " if number else "- ")

    def _close_link(self, form: str) -> None:
        if not self._links or self._hidden:
            return
        href, start = self._links.pop()
        label = "".join(self.out[start:]).strip()
        if href and href.removeprefix("mailto:") != label:
            while self.out and self.out[-1] == "\n":
                self.out.pop()
            self._write(form.format(href) if label else href)


def plain_text(mjml: str, allowed: Collection[str] = ALLOWED) -> str:
    """The text of rendered MJML: paragraphs, lists with their marks, the addresses of links, the `alt` of pictures.

    `allowed` are the schemes of links whose addresses are shown.
    """
    writer = _Writer(allowed)
    for token in tokens(mjml):
        if token.kind == "text":
            writer.text(token.text)
        elif token.kind == "end":
            writer.end(token.name)
        else:
            writer.start(token.name, attributes(token.text))
            if token.kind == "empty" and token.name not in _ALONE:
                writer.end(token.name)
    lines = (line.strip() for line in "".join(writer.out).split("\n"))
    return "\n".join(lines).strip() + "\n"
