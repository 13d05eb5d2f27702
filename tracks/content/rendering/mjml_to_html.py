"""Turns the MJML of an email into the HTML that is sent, with its CSS inlined and its size bounded."""

from __future__ import annotations

import re

import mrml
from css_inline import CSSInliner, InlineError

from tracks.content.rendering.template_error import TemplateError

MAX_HTML = 5_000_000
"""The most bytes of an email's HTML. With the text part, and base64 around both, an email stays below the 10 MB that
all interfaces of SES accept. Some mail programs cut off HTML of a fiftieth of this."""

# What cannot be inlined stays in its style: media queries (without them phones show the layout for desktops), `:hover`,
# and rules for what a mail program adds (Outlook's dark mode, links made by Apple).
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_style_tags=True, remove_inlined_selectors=True)
# mrml drops the rules that it cannot inline of a style marked `inline`, so the mark is taken off.
_INLINE = re.compile(r"""(<mj-style\b[^>]*?)\s+inline\s*=\s*("[^"]*"|'[^']*')""", re.IGNORECASE)
_MJML_OPTIONS = mrml.RenderOptions(fonts={})  # no web font that the author did not ask for


def to_html(mjml: str) -> str:
    """The HTML of an email.

    Raises:
        TemplateError: the MJML or its CSS is not valid, or the HTML is larger than `MAX_HTML`.
    """
    try:
        html = mrml.to_html(_INLINE.sub(r"\1", mjml.strip()), render_options=_MJML_OPTIONS).content
    except OSError:  # mrml's only exception; its text may quote the body
        raise TemplateError("Mjml") from None
    _bound(html)
    try:
        inlined = _INLINER.inline(html)
    except InlineError:
        raise TemplateError("Css") from None
    _bound(inlined)
    return inlined


def _bound(html: str) -> None:
    """Raise TemplateError for too much HTML: a small MJML text can make HTML of a hundred times its size."""
    if len(html) > MAX_HTML or len(html.encode()) > MAX_HTML:
        raise TemplateError("HtmlTooLong")
