"""MJML as the renderer knows it: its tags, where each may stand, and which attributes it may have.

The renderer drops unknown parts without an error: a tag, an attribute, a text outside its section. The lists come from
the reference of MJML 4 (documentation.mjml.io), without what this renderer refuses; a test renders every entry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import mrml

from tracks.content.markup.markup import ATTRIBUTE, Token, tokens
from tracks.shared.problems import meant

_CONTENT = frozenset((
    "mj-accordion", "mj-button", "mj-carousel", "mj-divider", "mj-image", "mj-navbar", "mj-raw", "mj-social",
    "mj-spacer", "mj-table", "mj-text",
))  # fmt: skip
_SECTIONS = frozenset(("mj-section", "mj-wrapper", "mj-hero", "mj-raw"))
CHILDREN: dict[str, frozenset[str]] = {
    "mjml": frozenset(("mj-head", "mj-body")),
    "mj-head": frozenset((
        "mj-attributes", "mj-breakpoint", "mj-font", "mj-preview", "mj-style", "mj-title", "mj-raw",
    )),
    "mj-body": _SECTIONS,
    "mj-wrapper": _SECTIONS,
    "mj-section": frozenset(("mj-column", "mj-group", "mj-raw")),
    "mj-group": frozenset(("mj-column", "mj-raw")),
    "mj-column": _CONTENT,
    "mj-hero": _CONTENT,
    "mj-accordion": frozenset(("mj-accordion-element",)),
    "mj-accordion-element": frozenset(("mj-accordion-title", "mj-accordion-text")),
    "mj-carousel": frozenset(("mj-carousel-image",)),
    "mj-navbar": frozenset(("mj-navbar-link",)),
    "mj-social": frozenset(("mj-social-element",)),
}  # fmt: skip
"""The tags that each tag may hold. `mj-attributes` may hold any tag; a tag not listed holds HTML or nothing."""

TAGS = frozenset(CHILDREN) | frozenset().union(*CHILDREN.values()) | {"mj-all", "mj-class"}

_SIDES = [f"{name}{side}" for name in ("padding", "inner-padding", "ico-padding", "border", "inner-border")
          for side in ("", "-top", "-right", "-bottom", "-left")]  # fmt: skip
ATTRIBUTES = frozenset((
    *_SIDES, "align", "alt", "background-color", "background-height", "background-position",
    "background-position-x", "background-position-y", "background-repeat", "background-size", "background-url",
    "background-width", "base-url", "border-color", "border-radius", "border-spacing", "border-style", "border-width",
    "cellpadding", "cellspacing", "color", "container-background-color", "css-class", "dir", "direction",
    "fluid-on-mobile", "font-family", "font-size", "font-style", "font-weight", "full-width", "gap", "hamburger",
    "height", "href", "ico-align", "ico-close", "ico-color", "ico-font-family", "ico-font-size", "ico-line-height",
    "ico-open", "ico-text-decoration", "ico-text-transform", "icon-align", "icon-height", "icon-padding",
    "icon-position", "icon-size", "icon-unwrapped-alt", "icon-unwrapped-url", "icon-width", "icon-wrapped-alt",
    "icon-wrapped-url", "id", "inline", "inner-background-color", "inner-border-radius", "lang", "left-icon",
    "letter-spacing", "line-height", "max-height", "mj-class", "mode", "name", "owa", "position", "rel",
    "right-icon", "role", "sizes", "src", "srcset", "table-layout", "target", "tb-border", "tb-border-radius",
    "tb-hover-border-color", "tb-selected-border-color", "tb-width", "text-align", "text-decoration", "text-padding",
    "text-transform", "thumbnails", "thumbnails-src", "title", "usemap", "vertical-align", "width",
))  # fmt: skip
"""Every attribute of any tag; any other attribute is a mistake."""

_INSTEAD = {"class": "css-class"}
"""Attributes of HTML that have another name in MJML."""
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "col", "wbr", "area", "base", "source"))
_POSITION = re.compile(r"at position (\d+):\d+")


def unknown_in(mjml: str) -> Iterator[tuple[Token, str]]:
    """The parts that the renderer would drop from a valid MJML text: each token, and what is wrong with it."""
    around: list[str] = []
    for token in tokens(mjml):
        if token.kind == "text":
            continue
        if token.kind == "end":
            if token.name in around:
                del around[len(around) - around[::-1].index(token.name) - 1 :]
            continue
        parent = next((name for name in reversed(around) if name in TAGS), "")
        if token.name in TAGS:
            if wrong := _misplaced(token.name, parent):
                yield token, wrong
            for found in ATTRIBUTE.finditer(token.text):
                name = found["name"].lower()
                if name not in ATTRIBUTES:
                    right = meant(_INSTEAD.get(name, name), sorted(ATTRIBUTES))
                    yield token, f"`{name}` is not an attribute of MJML{right}"
        elif around and around[-1] in CHILDREN:
            yield token, f"`{token.name}` stands in `{around[-1]}`: HTML belongs into `mj-text`, `mj-table` or `mj-raw`"
        if token.kind == "start" and token.name not in _VOID:
            around.append(token.name)


def _misplaced(name: str, parent: str) -> str:
    if not parent or parent == "mj-attributes" or name in CHILDREN.get(parent, ()):
        return ""
    places = sorted(place for place, children in CHILDREN.items() if name in children)
    belongs = f"; it belongs into {' or '.join(f'`{place}`' for place in places)}" if places else ""
    return f"`{name}` stands in `{parent}`, where nobody would see it{belongs}"


def place_of_fault(mjml: str) -> int | None:
    """The position where the renderer fails to parse the MJML; None if it parses it or gives no position."""
    try:
        mrml.to_html(mjml)
    except OSError as error:
        found = _POSITION.search(str(error))
        return len(mjml.encode()[: int(found[1])].decode(errors="ignore")) if found else None
    return None
