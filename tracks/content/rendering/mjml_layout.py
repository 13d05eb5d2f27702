"""Add title, preheader, language and direction to the author's MJML, and measure how deep its tags are nested."""

from __future__ import annotations

import re

from tracks.content.templates.locales import right_to_left
from tracks.content.templates.template_model import Template

SUBJECT = "_subject"
"""The name under which Liquid finds the message's subject; no variable can be declared with this name."""
MAX_NESTING = 200
"""Tags within tags. From some thousands on, the parsers of MJML and HTML end the process."""

_HEAD = re.compile(r"<mj-head\s*>")
_ROOT = re.compile(r"<mjml(?P<attributes>\s[^<>]*+)?>")
_TAG = re.compile(r"<(?P<end>/?)(?P<name>[A-Za-z][\w:-]*+)[^<>]*+(?P<empty>(?<=/))?>")
_VOID = frozenset(("br", "hr", "img", "input", "link", "meta", "col", "wbr"))
# Comes before the author's own attributes, which therefore win.
_MIRRORED = (
    '<mj-attributes><mj-section direction="rtl" /><mj-column direction="rtl" /><mj-text align="right" />'
    '<mj-button align="right" /></mj-attributes>'
)


def laid_out(template: Template) -> str:
    """The body with the subject as the page's title (for screen readers), the preheader, the language and direction.

    Whatever of these the author wrote into the body stays as it is.
    """
    body, head = template.body, ""
    blocks = [text for block in template.blocks.values() for text in block.texts().values()]
    if not any("<mj-title" in text for text in (body, *blocks)):
        head += f"<mj-title>{{{{ {SUBJECT} }}}}</mj-title>"
    if template.preheader and not any("<mj-preview" in text for text in (body, *blocks)):
        head += f"<mj-preview>{template.preheader}</mj-preview>"
    if template.locale is not None:
        mirrored = right_to_left(template.locale)
        head += _MIRRORED if mirrored else ""
        body = _ROOT.sub(lambda root: _with_language(root, template.locale or "", mirrored), body, count=1)
    return _in_head(body, head) if head else body


def _with_language(root: re.Match[str], locale: str, mirrored: bool) -> str:
    written = root["attributes"] or ""
    language = "" if re.search(r"\slang\s*=", written) else f' lang="{locale}"'
    direction = "" if re.search(r"\sdir\s*=", written) else f' dir="{"rtl" if mirrored else "ltr"}"'
    return f"<mjml{written}{language}{direction}>"


def _in_head(body: str, part: str) -> str:
    head = _HEAD.search(body)
    if head is not None:
        return body[: head.end()] + part + body[head.end() :]
    return _ROOT.sub(lambda root: f"{root[0]}<mj-head>{part}</mj-head>", body, count=1)


def nesting(markup: str) -> int:
    """The deepest nesting of tags."""
    depth = deepest = 0
    for tag in _TAG.finditer(markup):
        if tag["end"]:
            depth = max(0, depth - 1)
        elif tag["empty"] is None and tag["name"].lower() not in _VOID:
            depth += 1
            deepest = max(deepest, depth)
    return deepest
