"""From a template and a context to the message itself: Liquid, then MJML, then inlined CSS, then the text part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import mrml
from css_inline import CSSInliner, InlineError
from liquid.exceptions import LiquidError

from tracks.content.language import compiled
from tracks.content.plain import plain_text
from tracks.content.template import Template

MAX_SMS = 1600
"""Characters that Twilio takes in one message."""
_MAX_SUBJECT = 500

# Media queries must survive inlining, or phones get the layout of a desk.
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_at_rules=True)
_MJML_OPTIONS = mrml.RenderOptions(fonts={})  # no web font that the author did not ask for
_MJML_HEAD = re.compile(r"<mj-head\s*>")
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff\ud800-\udfff]")  # no XML and no message holds them
_MJML_ROOT = re.compile(r"<mjml(?:\s[^>]*)?>")


class TemplateError(Exception):
    """A message cannot be made. `code` names the class of the fault and holds nothing of the contact's data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True)
class MessageContext:
    """What a template may speak of: the contact, the enrollment, the step's variables, the links of a message."""

    contact: Mapping[str, Any]
    enrollment: Mapping[str, Any]
    variables: Mapping[str, Any] = field(default_factory=dict)
    unsubscribe_url: str = ""
    preferences_url: str = ""
    confirm_url: str = ""

    def names(self) -> dict[str, Any]:
        """The names as Liquid sees them; a variable cannot hide what every message has."""
        return {
            **self.variables,
            "contact": self.contact,
            "enrollment": self.enrollment,
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
            "confirm_url": self.confirm_url,
        }


@dataclass(frozen=True)
class RenderedEmail:
    """An email ready to send; `html` is empty where the template is plain text."""

    subject: str
    html: str
    text: str


def render_email(template: Template, context: MessageContext, *, subject: str | None = None) -> RenderedEmail:
    """Render an email; `subject` (Liquid) stands in for the template's own.

    Raises:
        TemplateError: a required variable is missing, a limit was passed, or the result is no valid message.
    """
    names = _names(template, context)
    line = " ".join(_liquid(template.subject if subject is None else subject, names).split())
    if not line:
        raise TemplateError("EmptySubject")
    if len(line) > _MAX_SUBJECT:
        raise TemplateError("SubjectTooLong")
    if not template.is_mjml:
        return RenderedEmail(subject=line, html="", text=_filled(_liquid(template.body, names)))
    mjml = _liquid(_with_preheader(template), names, markup=True)
    return RenderedEmail(subject=line, html=_to_html(mjml), text=plain_text(mjml))


def render_sms(template: Template | str, context: MessageContext) -> str:
    """Render a text message from a template, or from the Liquid text that the step holds itself.

    Raises:
        TemplateError: as for an email, or the text is longer than a provider takes.
    """
    if isinstance(template, str):
        text = render_text(template, context)
    else:
        text = _liquid(template.body, _names(template, context))
    text = _filled(text.strip())
    if len(text) > MAX_SMS:
        raise TemplateError("SmsTooLong")
    return text


def render_text(source: str, context: MessageContext) -> str:
    """Render Liquid to plain text.

    Raises:
        TemplateError: the source is not valid Liquid or a limit was passed.
    """
    return _liquid(source, context.names())


def render_values(value: Any, context: MessageContext) -> Any:
    """A copy of JSON-like data with every text in it rendered; other values are kept as they are.

    Raises:
        TemplateError: as for `render_text`.
    """
    if isinstance(value, str):
        return render_text(value, context) if "{" in value else value
    if isinstance(value, Mapping):
        return {key: render_values(item, context) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [render_values(item, context) for item in value]
    return value


def _names(template: Template, context: MessageContext) -> dict[str, Any]:
    missing = [n for n, v in template.variables.items() if v.required and context.variables.get(n) is None]
    if missing:
        raise TemplateError(f"MissingVariable:{missing[0]}")
    defaults = {name: variable.default for name, variable in template.variables.items()}
    return defaults | context.names()


def _liquid(source: str, names: dict[str, Any], *, markup: bool = False) -> str:
    try:
        return _CONTROL.sub("", compiled(source, markup=markup).render(names))
    except LiquidError as error:
        raise TemplateError(type(error).__name__) from None
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        # The language's own filters raise these on odd values; the fault is this message's alone.
        raise TemplateError(f"Liquid:{type(error).__name__}") from None


def _with_preheader(template: Template) -> str:
    """The body with its preheader in MJML's own place for one, unless the author put one there."""
    body = template.body
    if not template.preheader or "<mj-preview" in body:
        return body
    preview = f"<mj-preview>{template.preheader}</mj-preview>"
    head = _MJML_HEAD.search(body)
    if head is not None:
        return body[: head.end()] + preview + body[head.end() :]
    return _MJML_ROOT.sub(lambda root: f"{root[0]}<mj-head>{preview}</mj-head>", body, count=1)


def _to_html(mjml: str) -> str:
    try:
        html = mrml.to_html(mjml.strip(), render_options=_MJML_OPTIONS).content
    except OSError:  # mrml's only exception; its text may quote the body
        raise TemplateError("Mjml") from None
    try:
        return _INLINER.inline(html)
    except InlineError:
        raise TemplateError("Css") from None


def _filled(text: str) -> str:
    if not text.strip():
        raise TemplateError("EmptyBody")
    return text
