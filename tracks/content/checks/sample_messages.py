"""A template rendered for sample contacts before it is published: faults that only the whole message shows."""

from __future__ import annotations

import re
import xml.parsers.expat as expat
from collections.abc import Iterator
from typing import Any

from tracks.content.brand import NO_BRAND, Brand
from tracks.content.markup.hrefs import refused_schemes
from tracks.content.markup.mjml import place_of_fault, unknown_in
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.render import render_email, render_sms, rendered_mjml
from tracks.content.rendering.rendered_messages import RenderedEmail
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.blocks import Block
from tracks.content.templates.template_model import Template
from tracks.content.templates.template_problems import TemplateProblem, line_of

_VOID = re.compile(r"<(br|hr|img|input|link|meta)\b([^<>]*?)/?>")
_ENTITY = re.compile(r"&[A-Za-z][A-Za-z0-9]*;")


def sample_problems(template: Template) -> list[TemplateProblem]:
    """What is wrong with the message that the template makes for a contact with everything, or for one with nothing.

    The first has a brand and all attributes; the second only an id. Each text of each block is in one of the messages,
    so that neither a missing attribute nor a choice can be what breaks a message later.
    """
    if template.kind == "block":
        return []  # a part of a message: checked in the templates that use it
    for sample, which in _with_each_text(template):
        for contact, who in ((_FULL_CONTACT, "a full contact"), (_BARE_CONTACT, "a contact without attributes")):
            if problems := _rendering_problems(sample, contact, f"{who}{which}"):
                return problems
    return []


def _with_each_text(template: Template) -> Iterator[tuple[Template, str]]:
    """Variants of the template in which each block has one fixed text, together covering all texts; and their names."""
    texts = {name: list(block.texts().items()) for name, block in template.blocks.items()}
    for turn in range(max((len(each) for each in texts.values()), default=1)):
        taken = {name: each[min(turn, len(each) - 1)] for name, each in texts.items()}
        blocks = {name: Block(otherwise=text) for name, (_, text) in taken.items()}
        which = ", ".join(f"{name} {choice}" for name, (choice, _) in taken.items())
        yield template.model_copy(update={"blocks": blocks}), f" ({which})" if which else ""


def _rendering_problems(template: Template, contact: dict[str, Any], who: str) -> list[TemplateProblem]:
    given = {name: v.default if v.default is not None else "sample" for name, v in template.variables.items()}
    context = MessageContext(
        contact,
        _ENROLLMENT,
        given,
        unsubscribe_url="https://sample.test/u",
        preferences_url="https://sample.test/p",
        confirm_url="https://sample.test/c",
        brand=NO_BRAND if contact is _BARE_CONTACT else _BRAND,
    )
    try:
        if template.kind == "sms":
            render_sms(template, context)
            return []
        email = render_email(template, context)
        return [*_link_problems(template, email), *(_mjml_problems(template, context) if template.is_mjml else ())]
    except TemplateError as error:
        if error.code == "Mjml":
            return [_mjml_fault(template, context, who)]
        if error.code in ("EmptyBody", "EmptySubject") and contact is _BARE_CONTACT:
            return [TemplateProblem(0, f"nothing is left of it ({error.code}) for {who}: use `| default:`")]
        return [TemplateProblem(0, f"it does not render for {who}: {error.code}")]


def _link_problems(template: Template, email: RenderedEmail) -> Iterator[TemplateProblem]:
    """The template's own links whose scheme is not allowed."""
    body = template.body.lower()
    for scheme in dict.fromkeys((*email.choices.left_out, *refused_schemes(email.html))):
        at = body.find(f"{scheme}:")
        yield TemplateProblem(
            line_of(body, at, template.body_line) if at >= 0 else 0,
            f"a link leads to `{scheme}:`; it can lead to http, https, mailto, tel or sms",
        )


def _mjml_problems(template: Template, context: MessageContext) -> Iterator[TemplateProblem]:
    """What the renderer would drop from the message without an error."""
    rendered = rendered_mjml(template, context)
    seen: set[str] = set()
    for token, message in unknown_in(rendered):
        written = rendered[token.at : rendered.find(">", token.at) + 1]
        at = -1  # the same tag may occur several times: find the one with this number of equal tags before it
        for _ in range(1 + rendered.count(written, 0, token.at)):
            at = max(at, template.body.find(written, at + 1))
        if at >= 0 or message not in seen:  # a block or a loop repeats the same message
            yield TemplateProblem(line_of(template.body, at, template.body_line) if at >= 0 else 0, message)
        seen.add(message)


def _mjml_fault(template: Template, context: MessageContext, who: str) -> TemplateProblem:
    """The place where the MJML stops being XML, as a line of the file as far as Liquid kept the lines."""
    rendered = rendered_mjml(template, context).strip()
    # mrml itself seldom gives a position. expat does, but it refuses two kinds of HTML syntax that mrml accepts.
    strict = _ENTITY.sub("-", _VOID.sub(r"<\1\2/>", rendered))
    parser = expat.ParserCreate()
    try:
        parser.Parse(strict, True)
    except expat.ExpatError as error:
        line = template.body_line + error.lineno - 1
        return TemplateProblem(line, f"the MJML is not valid XML for {who}: {expat.ErrorString(error.code)}")
    at = place_of_fault(rendered)
    if at is None:
        return TemplateProblem(0, f"the MJML does not parse for {who}")
    lines = template.body[: len(template.body) - len(template.body.lstrip())].count("\n")
    what = " ".join(rendered[at : at + 40].split())
    return TemplateProblem(
        line_of(rendered, at, template.body_line + lines),
        f"the MJML does not parse for {who}: `{what}` cannot stand here",
    )


_BARE_CONTACT: dict[str, Any] = {
    "id": "sample", "email": None, "phone": None, "timezone": None, "locale": None, "attributes": {},
    "segments": [], "scores": {},
}  # fmt: skip
_FULL_CONTACT: dict[str, Any] = {
    "id": "sample",
    "email": "sample@example.test",
    "phone": "+15005550006",
    "timezone": "Europe/Berlin",
    "segments": ["sample"],
    "scores": {},
    "locale": "en",
    "attributes": {"first_name": "Sam & <Co>", "last_name": "O'Sample", "company": 'Sample "Ltd"', "role": "engineer"},
}
_BRAND = Brand(
    "Sample & <Co>", "https://sample.test", "https://sample.test/logo.png", "1 Sample Street\nSample", "#a00000"
)
_ENROLLMENT: dict[str, Any] = {"id": "sample", "track": "sample", "version": 1, "properties": {}}
