"""From a template and a context to the message itself: Liquid, then MJML, then inlined CSS, then the text part."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import mrml
from css_inline import CSSInliner, InlineError
from liquid import Markup
from liquid.exceptions import LiquidError

from tracks.content.brand import NO_BRAND, Brand
from tracks.content.liquid.language import compiled
from tracks.content.liquid.limits import one_message
from tracks.content.liquid.local_time_filter import NOW, ZONE
from tracks.content.markup.hrefs import ALLOWED, RUNNING, refused_schemes, without_links
from tracks.content.rendering.mjml_layout import MAX_NESTING, SUBJECT, laid_out, nesting
from tracks.content.rendering.plain_text import plain_text
from tracks.content.templates.blocks import Chosen, choose
from tracks.content.templates.template_model import Template
from tracks.time.local_time import is_zone

MAX_SMS = 1600
"""Characters that Twilio takes in one message."""
_MAX_SUBJECT = 500
MAX_HTML = 5_000_000
"""Bytes of an email's page. With its text part and base64 around both it stays below what SES takes by any of its
interfaces (10 MB); a page of a fiftieth of it is cut off by some readers."""

# What cannot be inlined stays in its style: media queries, or phones get the layout of a desk; what a pointer does
# (`:hover`); and rules for what a mail program puts around the page (dark mode of Outlook, links made by Apple).
_INLINER = CSSInliner(load_remote_stylesheets=False, keep_style_tags=True, remove_inlined_selectors=True)
# The renderer itself throws away what it cannot inline of a style that says so.
_INLINE = re.compile(r"""(<mj-style\b[^>]*?)\s+inline\s*=\s*("[^"]*"|'[^']*')""", re.IGNORECASE)
_MJML_OPTIONS = mrml.RenderOptions(fonts={})  # no web font that the author did not ask for
# No XML and no message holds them.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff\ud800-\udfff]")


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
    steps: Mapping[str, str] = field(default_factory=dict)
    """How the run's earlier steps ended, as conditions of blocks see it."""
    now: datetime | None = None
    """The time on the run's clock."""
    zone: str = "UTC"
    """The zone of contacts who have none: the track's."""
    brand: Brand = NO_BRAND

    def seen(self) -> dict[str, Any]:
        """What the conditions of blocks look at: as in a branch, whether there is an address and not which."""
        contact = self.contact
        return {
            "contact": {
                **{name: contact.get(name) for name in ("id", "timezone", "locale", "attributes")},
                "has_email": bool(contact.get("email")),
                "has_phone": bool(contact.get("phone")),
            },
            "enrollment": {**self.enrollment, "steps": dict(self.steps)},
            "now": self.now or datetime.now(UTC),
        }

    def names(self) -> dict[str, Any]:
        """The names as Liquid sees them; a variable cannot hide what every message has, except `brand`.

        Templates that were published before there was a brand may have a variable of that name.
        """
        return {
            "brand": self.brand.names,
            **self.variables,
            "contact": self.contact,
            "enrollment": self.enrollment,
            "unsubscribe_url": self.unsubscribe_url,
            "preferences_url": self.preferences_url,
            "confirm_url": self.confirm_url,
            ZONE: self.local_zone,
            NOW: self.now or datetime.now(UTC),
        }

    @property
    def local_zone(self) -> str:
        """The contact's zone; the track's where they have none, or none that there is."""
        own = self.contact.get("timezone")
        return own if isinstance(own, str) and is_zone(own) else self.zone


@dataclass(frozen=True)
class Choices:
    """What was decided for one contact: the language, and the text of each block."""

    locale: str | None = None
    """The variant's; None where the template does not say which language it is in."""
    blocks: tuple[Chosen, ...] = ()
    left_out: tuple[str, ...] = ()
    """Schemes of links that data would have led to and no message does (`tracks.content.markup.hrefs`)."""

    @property
    def chosen(self) -> dict[str, str]:
        """The name of the choice by block."""
        return {one.block: one.choice for one in self.blocks}


@dataclass(frozen=True)
class RenderedEmail:
    """An email ready to send; `html` is empty where the template is plain text."""

    subject: str
    html: str
    text: str
    choices: Choices = Choices()


@dataclass(frozen=True)
class RenderedSms:
    """A text message ready to send."""

    text: str
    choices: Choices = Choices()


def render_email(template: Template, context: MessageContext, *, subject: str | None = None) -> RenderedEmail:
    """Render an email in the contact's language; `subject` (Liquid) stands in for the template's own.

    Raises:
        TemplateError: a required variable is missing, a limit was passed, or the result is no valid message.
    """
    with one_message():
        template, choices, names = _decided(template, context)
        plain = names | {"blocks": _Blocks(choices.blocks, names, markup=False)}
        line = _one_line(template.subject if subject is None else subject, plain)
        if not line:
            raise TemplateError("EmptySubject")
        if len(line) > _MAX_SUBJECT:
            raise TemplateError("SubjectTooLong")
        if not template.is_mjml:
            return RenderedEmail(line, "", _filled(_liquid(template.body, plain)), choices)
        mjml = _mjml(template, choices, names | {SUBJECT: line})
    if nesting(mjml) > MAX_NESTING:
        raise TemplateError("MjmlTooDeep")
    html = _to_html(mjml)
    refused = refused_schemes(html)
    if not refused:
        return RenderedEmail(line, html, plain_text(mjml), choices)
    kept = {scheme for scheme in refused if scheme not in RUNNING and _writes_link(template, scheme)}
    left_out = tuple(scheme for scheme in refused if scheme not in kept)
    html, text = without_links(html, left_out), plain_text(mjml, ALLOWED | kept)
    return RenderedEmail(line, html, text, replace(choices, left_out=left_out))


def _writes_link(template: Template, scheme: str) -> bool:
    """Whether the template itself begins a link with that scheme, as those published before this was judged may."""
    begins = re.compile(rf"""href\s*=\s*["']\s*{re.escape(scheme)}:""", re.IGNORECASE)
    texts = (text for block in template.blocks.values() for text in block.texts().values())
    return any(begins.search(text) for text in (template.body, *texts))


def rendered_mjml(template: Template, context: MessageContext) -> str:
    """The MJML of an email before it becomes HTML. Raises TemplateError."""
    with one_message():
        template, choices, names = _decided(template, context)
        plain = names | {"blocks": _Blocks(choices.blocks, names, markup=False)}
        return _mjml(template, choices, names | {SUBJECT: _one_line(template.subject, plain)})


def render_sms(template: Template | str, context: MessageContext) -> str:
    """The text of `write_sms`."""
    return write_sms(template, context).text


def write_sms(template: Template | str, context: MessageContext) -> RenderedSms:
    """Render a text message from a template, or from the Liquid text that the step holds itself.

    Raises:
        TemplateError: as for an email, or the text is longer than a provider takes.
    """
    choices = Choices()
    with one_message():
        if isinstance(template, str):
            text = render_text(template, context)
        else:
            template, choices, names = _decided(template, context)
            text = _liquid(template.body, names | {"blocks": _Blocks(choices.blocks, names, markup=False)})
    text = _filled(text.strip())
    if len(text) > MAX_SMS:
        raise TemplateError("SmsTooLong")
    return RenderedSms(text, choices)


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


def _decided(template: Template, context: MessageContext) -> tuple[Template, Choices, dict[str, Any]]:
    """The template in the contact's language, the texts of its blocks, and the names that it may use."""
    missing = [n for n, v in template.variables.items() if v.required and context.variables.get(n) is None]
    if missing:
        raise TemplateError(f"MissingVariable:{missing[0]}")
    template = template.in_locale(context.contact.get("locale"))
    seen = context.seen() if template.blocks else {}
    choices = Choices(template.locale, tuple(choose(name, block, seen) for name, block in template.blocks.items()))
    defaults = {name: variable.default for name, variable in template.variables.items()}
    names = defaults | context.names()
    if "brand" in template.variables:
        names["brand"] = context.variables.get("brand", defaults["brand"])
    return template, choices, names


def _one_line(subject: str, names: dict[str, Any]) -> str:
    return " ".join(_liquid(subject, names).split())


def _mjml(template: Template, choices: Choices, names: dict[str, Any]) -> str:
    blocks = _Blocks(choices.blocks, names, markup=True)
    return _liquid(laid_out(template), names | {"blocks": blocks}, markup=True)


class _Blocks(Mapping[str, str]):
    """`blocks` in Liquid: each rendered when it is asked for, from the same names without `blocks`."""

    def __init__(self, chosen: tuple[Chosen, ...], names: dict[str, Any], *, markup: bool) -> None:
        self._texts = {one.block: one.text for one in chosen}
        self._names = names
        self._markup = markup
        self._rendered: dict[str, str] = {}

    def __getitem__(self, block: str) -> str:
        if block not in self._rendered:
            text = _liquid(self._texts[block], self._names, markup=self._markup)
            self._rendered[block] = Markup(text) if self._markup else text
        return self._rendered[block]

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


def _liquid(source: str, names: dict[str, Any], *, markup: bool = False) -> str:
    try:
        return _CONTROL.sub("", compiled(source, markup=markup).render(names))
    except LiquidError as error:
        raise TemplateError(type(error).__name__) from None
    except (ArithmeticError, LookupError, TypeError, ValueError, RecursionError) as error:
        # The language's own filters raise these on odd values; the fault is this message's alone.
        raise TemplateError(f"Liquid:{type(error).__name__}") from None


def _to_html(mjml: str) -> str:
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
    """A small MJML text may make a page a hundred times its size."""
    if len(html) > MAX_HTML or len(html.encode()) > MAX_HTML:
        raise TemplateError("HtmlTooLong")


def _filled(text: str) -> str:
    if not text.strip():
        raise TemplateError("EmptyBody")
    return text
