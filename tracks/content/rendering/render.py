"""Makes a message from a template and a context: Liquid, then MJML, then inlined CSS, then the text part."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from tracks.content.liquid.limits import one_message
from tracks.content.markup.hrefs import ALLOWED, RUNNING, refused_schemes, without_links
from tracks.content.rendering.liquid_rendering import RenderedBlocks, render_liquid, render_text
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.mjml_layout import MAX_NESTING, SUBJECT, laid_out, nesting
from tracks.content.rendering.mjml_to_html import to_html
from tracks.content.rendering.plain_text import plain_text
from tracks.content.rendering.rendered_messages import Choices, RenderedEmail, RenderedSms
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.blocks import choose
from tracks.content.templates.template_model import Template

MAX_SMS = 1600
"""The most characters that Twilio accepts in one message."""
_MAX_SUBJECT = 500


def render_email(template: Template, context: MessageContext, *, subject: str | None = None) -> RenderedEmail:
    """Render an email in the contact's language; `subject` (Liquid) replaces the template's own.

    Raises:
        TemplateError: a required variable is missing, a limit is exceeded, or the result is no valid message.
    """
    with one_message():
        template, choices, names = _decided(template, context)
        plain = names | {"blocks": RenderedBlocks(choices.blocks, names, markup=False)}
        line = _one_line(template.subject if subject is None else subject, plain)
        if not line:
            raise TemplateError("EmptySubject")
        if len(line) > _MAX_SUBJECT:
            raise TemplateError("SubjectTooLong")
        if not template.is_mjml:
            return RenderedEmail(line, "", _filled(render_liquid(template.body, plain)), choices)
        mjml = _mjml(template, choices, names | {SUBJECT: line})
    if nesting(mjml) > MAX_NESTING:
        raise TemplateError("MjmlTooDeep")
    html = to_html(mjml)
    refused = refused_schemes(html)
    if not refused:
        return RenderedEmail(line, html, plain_text(mjml), choices)
    kept = {scheme for scheme in refused if scheme not in RUNNING and _writes_link(template, scheme)}
    left_out = tuple(scheme for scheme in refused if scheme not in kept)
    html, text = without_links(html, left_out), plain_text(mjml, ALLOWED | kept)
    return RenderedEmail(line, html, text, replace(choices, left_out=left_out))


def _writes_link(template: Template, scheme: str) -> bool:
    """Whether the template itself begins a link with that scheme.

    Templates from before the schemes of links were checked at publishing may do that.
    """
    begins = re.compile(rf"""href\s*=\s*["']\s*{re.escape(scheme)}:""", re.IGNORECASE)
    texts = (text for block in template.blocks.values() for text in block.texts().values())
    return any(begins.search(text) for text in (template.body, *texts))


def rendered_mjml(template: Template, context: MessageContext) -> str:
    """The MJML of an email before it becomes HTML. Raises TemplateError."""
    with one_message():
        template, choices, names = _decided(template, context)
        plain = names | {"blocks": RenderedBlocks(choices.blocks, names, markup=False)}
        return _mjml(template, choices, names | {SUBJECT: _one_line(template.subject, plain)})


def render_sms(template: Template | str, context: MessageContext) -> str:
    """The text of the message of `write_sms`."""
    return write_sms(template, context).text


def write_sms(template: Template | str, context: MessageContext) -> RenderedSms:
    """Render a text message from a template, or from the Liquid text that the step holds itself.

    Raises:
        TemplateError: as for an email, or the text is longer than a provider accepts.
    """
    choices = Choices()
    with one_message():
        if isinstance(template, str):
            text = render_text(template, context)
        else:
            template, choices, names = _decided(template, context)
            text = render_liquid(template.body, names | {"blocks": RenderedBlocks(choices.blocks, names, markup=False)})
    text = _filled(text.strip())
    if len(text) > MAX_SMS:
        raise TemplateError("SmsTooLong")
    return RenderedSms(text, choices)


def _decided(template: Template, context: MessageContext) -> tuple[Template, Choices, dict[str, Any]]:
    """The template in the contact's language, the texts of its blocks, and the names that it may use."""
    missing = [n for n, v in template.variables.items() if v.required and context.variables.get(n) is None]
    if missing:
        raise TemplateError(f"MissingVariable:{missing[0]}")
    template = template.in_locale(context.contact.get("locale"))
    seen = context.seen() if template.blocks else {}
    choices = Choices(template.locale, tuple(choose(name, block, seen) for name, block in template.blocks.items()))
    defaults = {name: variable.default for name, variable in template.variables.items()}
    return template, choices, context.names(defaults)


def _one_line(subject: str, names: dict[str, Any]) -> str:
    return " ".join(render_liquid(subject, names).split())


def _mjml(template: Template, choices: Choices, names: dict[str, Any]) -> str:
    blocks = RenderedBlocks(choices.blocks, names, markup=True)
    return render_liquid(laid_out(template), names | {"blocks": blocks}, markup=True)


def _filled(text: str) -> str:
    if not text.strip():
        raise TemplateError("EmptyBody")
    return text
