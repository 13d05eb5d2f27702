"""A message as a contact would receive it, with warnings for its author. Nothing is sent."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from liquid.exceptions import LiquidError

from tracks.content.liquid.language import compiled
from tracks.content.liquid.limits import MAX_WORK, one_message, work_done
from tracks.content.markup.mjml import CHILDREN
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.plain_text import HTML, shown_as_text
from tracks.content.rendering.render import render_email, write_sms
from tracks.content.rendering.sms_segments import Segments, segments
from tracks.content.templates.blocks import Chosen
from tracks.content.templates.locales import best, canonical
from tracks.content.templates.template_model import Template, TemplateVariable

_MJML = re.compile(r"<(mj-[a-z-]+)")
_SHOWN = "{{ blocks.shown }}"
_COLUMN = f"<mjml><mj-body><mj-section><mj-column>{_SHOWN}</mj-column></mj-section></mj-body></mjml>"
_AROUND = {
    "mj-head": f"<mjml><mj-head>{_SHOWN}</mj-head><mj-body></mj-body></mjml>",
    "mj-body": f"<mjml><mj-body>{_SHOWN}</mj-body></mjml>",
    "mj-section": f"<mjml><mj-body><mj-section>{_SHOWN}</mj-section></mj-body></mjml>",
}
_CLIPPED = 102_000
"""Bytes of HTML after which Gmail hides the rest of an email, including the unsubscribe link."""


@dataclass(frozen=True)
class Preview:
    """What the contact would see. Fields of the other channel are empty."""

    locale: str | None
    subject: str
    html: str
    text: str
    segments: Segments | None
    blocks: tuple[Chosen, ...]
    warnings: tuple[str, ...]


def preview(template: Template | str, context: MessageContext, *, subject: str | None = None) -> Preview:
    """Render a message for a contact without sending it. A plain text stands for an SMS written in the step.

    Raises:
        TemplateError: the message cannot be rendered; a send to this contact would be `failed`.
    """
    if isinstance(template, str):
        template = Template(kind="sms", body=template, variables=dict.fromkeys(context.variables, TemplateVariable()))
    warnings = [*_language_warnings(template, context)]
    if template.kind == "sms":
        with one_message():
            sms = write_sms(template, context)
            warnings += _work()
        counted = segments(sms.text)
        warnings += _markup(template, sms.choices.blocks, context)
        if counted.costly:
            warnings.append(f"{counted.costly[:20]!r} is not in the plain alphabet: 70 characters a segment, not 160")
        warnings += _absent(template, sms.choices.blocks, context, None)
        return Preview(sms.choices.locale, "", "", sms.text, counted, sms.choices.blocks, tuple(warnings))
    with one_message():
        email = render_email(template, context, subject=subject)
        warnings += _work()
    warnings += [
        f"a link to `{scheme}:` is left out: a link leads to http, https, mailto, tel or sms"
        for scheme in email.choices.left_out
    ]
    warnings += [] if email.html else _markup(template, email.choices.blocks, context)
    size = len(email.html.encode())
    if size > _CLIPPED:
        warnings.append(f"the HTML has {size // 1000} kB: Gmail hides what is past 102 kB")
    if "unsubscribe_url" not in template.in_locale(context.contact.get("locale")).body and not any(
        "unsubscribe_url" in one.text for one in email.choices.blocks
    ):
        warnings.append("it shows no unsubscribe link (`unsubscribe_url`): only a transactional email may omit it")
    warnings += _absent(template, email.choices.blocks, context, subject)
    return Preview(
        email.choices.locale, email.subject, email.html, email.text, None, email.choices.blocks, tuple(warnings)
    )


def as_message(template: Template) -> Template:
    """A shared block as an email of its own, so that it can be previewed alone; any other template unchanged."""
    if template.kind != "block":
        return template
    body = _around(template.body)
    variants = {
        tag: variant.model_copy(
            update={"subject": "-", "body": body, "blocks": {"shown": template.in_locale(tag).as_block().texts()}}
        )
        for tag, variant in template.locales.items()
    }
    return template.model_copy(
        update={
            "kind": "email",
            "subject": "-",
            "body": body,
            "choices": (),
            "blocks": {"shown": template.as_block()},
            "locales": variants,
        }
    )


def _markup(template: Template, blocks: tuple[Chosen, ...], context: MessageContext) -> Iterator[str]:
    """Tags in a plain-text message. Publishing refuses them now, but an older version may have them."""
    edition = template.in_locale(context.contact.get("locale"))
    for text in (edition.body, *(one.text for one in blocks)):
        if found := HTML.search(text):
            yield shown_as_text(template, found[0])


def _work() -> Iterator[str]:
    """A warning where the message takes over half of the limit: a contact with more data may exceed it."""
    if work_done() > MAX_WORK // 2:
        yield (
            f"it takes {work_done() * 100 // MAX_WORK} % of the work that a message may take: with more data in its "
            "loops it would fail"
        )


def _around(text: str) -> str:
    """A page in which a block's text may stand, chosen by the first tag of the text that fits only some places."""
    tags = [found[1] for found in _MJML.finditer(text)]
    first = next((tag for tag in tags if tag != "mj-raw"), None)
    if first is None:
        return _COLUMN if tags else _SHOWN
    return next((page for place, page in _AROUND.items() if first in CHILDREN[place]), _COLUMN)


def _language_warnings(template: Template, context: MessageContext) -> Iterator[str]:
    wanted = context.contact.get("locale")
    if not wanted or not template.locales:
        return
    if canonical(wanted) is None:
        yield f"the contact's locale '{wanted}' is not one: the template's own language is used"
    elif best(wanted, {*template.locales, *([template.locale] if template.locale else [])}) is None:
        yield f"there is no variant for {canonical(wanted)}: the template's own language is used"


def _absent(
    template: Template, blocks: tuple[Chosen, ...], context: MessageContext, subject: str | None
) -> Iterator[str]:
    """The values that the message uses and that the contact does not have."""
    edition = template.in_locale(context.contact.get("locale"))
    names = context.names()
    found: set[str] = set()
    for text in (
        edition.subject if subject is None else subject,
        edition.preheader,
        edition.body,
        *(one.text for one in blocks),
    ):
        try:
            uses = compiled(text, markup=False).analyze().globals
        except LiquidError:
            continue
        for use in (one for several in uses.values() for one in several):
            path = [part for part in use.segments if isinstance(part, str)]
            if path[:2] not in (["contact", "attributes"], ["enrollment", "properties"]) or len(path) < 3:
                continue
            held = names[path[0]].get(path[1]) or {}
            if held.get(path[2]) in (None, ""):
                found.add(".".join(path[:3]))
    yield from (f"{path} is missing: the template shows its text for that case" for path in sorted(found))
