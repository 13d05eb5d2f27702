"""What is wrong with a template, found when it is published and not when it is sent."""

from __future__ import annotations

import re
import xml.parsers.expat as expat
from collections.abc import Iterable, Mapping
from typing import Any

from liquid.exceptions import LiquidError

from tracks.content.language import FILTERS, compiled
from tracks.content.render import MessageContext, TemplateError, render_email, render_sms
from tracks.content.template import Template, TemplateProblem, declaration_problems
from tracks.problems import meant

CONTACT_FIELDS = frozenset(("id", "email", "phone", "timezone", "locale", "attributes"))
ENROLLMENT_FIELDS = frozenset(("id", "track", "version", "properties"))
_FIELDS: Mapping[str, frozenset[str]] = {"contact": CONTACT_FIELDS, "enrollment": ENROLLMENT_FIELDS}

_MJML_TAGS = frozenset((
    "mjml", "mj-head", "mj-body", "mj-include", "mj-attributes", "mj-all", "mj-class", "mj-breakpoint",
    "mj-font", "mj-html-attributes", "mj-selector", "mj-html-attribute", "mj-preview", "mj-style", "mj-title",
    "mj-accordion", "mj-accordion-element", "mj-accordion-title", "mj-accordion-text", "mj-button",
    "mj-carousel", "mj-carousel-image", "mj-column", "mj-divider", "mj-group", "mj-hero", "mj-image",
    "mj-navbar", "mj-navbar-link", "mj-raw", "mj-section", "mj-social", "mj-social-element", "mj-spacer",
    "mj-table", "mj-text", "mj-wrapper",
))  # fmt: skip
_TAG = re.compile(r"<(mj-?[a-z-]*)[\s/>]")
_VOID = re.compile(r"<(br|hr|img|input|link|meta)\b([^<>]*?)/?>")
_ENTITY = re.compile(r"&[A-Za-z][A-Za-z0-9]*;")
_INCLUDE = "mj-include"


def check_template(template: Template) -> list[TemplateProblem]:
    """All that is wrong with a template: its declarations, its Liquid, the names it uses, its MJML.

    It is also rendered twice, for a contact with everything and for one with nothing but an id, so that a
    missing attribute cannot be what breaks a message.
    """
    problems = [TemplateProblem(0, message) for _, message in declaration_problems(template)]
    known = tuple(template.variables)
    for part, source, line in (
        ("subject", template.subject, 0),
        ("preheader", template.preheader, 0),
        ("body", template.body, template.body_line),
    ):
        problems += check_text(source, known, line=line, part="" if line else part)
    problems += _mjml_problems(template)
    return problems or _sample_problems(template)


def check_text(source: str, variables: Iterable[str] = (), *, line: int = 0, part: str = "") -> list[TemplateProblem]:
    """What is wrong with one Liquid text: its syntax, and names that no message has.

    Args:
        source: the Liquid.
        variables: names besides those of every message that it may use.
        line: the line of the file on which it begins, or 0 if its lines are not to be counted.
        part: what to call it in the messages, such as `subject`.
    """
    said = f"in the {part}: " if part else ""
    try:
        analysis = compiled(source, markup=False).analyze()
    except LiquidError as error:
        at = error.token.start_index if error.token is not None else -1
        return [TemplateProblem(_line(source, at, line), f"{said}{error.message}")]
    allowed = {*_FIELDS, "unsubscribe_url", "preferences_url", "confirm_url", *variables}
    problems = [
        TemplateProblem(_line(source, use.index, line), f"{said}there is no filter `{name}`")
        for name, uses in analysis.filters.items()
        if name not in FILTERS
        for use in uses
    ]
    for name, uses in analysis.globals.items():
        for use in uses:
            where = _line(source, use.span.index, line)
            field = use.segments[1] if len(use.segments) > 1 else None
            if name not in allowed:
                right = meant(name, sorted(allowed))
                problems.append(TemplateProblem(where, f"{said}unknown variable '{name}'{right}"))
            elif name in _FIELDS and isinstance(field, str) and field not in _FIELDS[name]:
                hint = f"; did you mean `contact.attributes.{field}`?" if name == "contact" else ""
                problems.append(TemplateProblem(where, f"{said}`{name}.{field}` does not exist{hint}"))
    return sorted(set(problems), key=lambda problem: (problem.line, problem.message))


def _line(source: str, index: int, first: int) -> int:
    if first == 0:
        return 0
    return first + (source.count("\n", 0, index) if index > 0 else 0)


def _mjml_problems(template: Template) -> list[TemplateProblem]:
    if not template.is_mjml:
        return []
    problems = []
    for found in _TAG.finditer(template.body):  # mrml drops what it does not know without a word
        line = _line(template.body, found.start(), template.body_line)
        if found[1] == _INCLUDE:
            problems.append(TemplateProblem(line, "`mj-include` is not available: a template stands alone"))
        elif found[1] not in _MJML_TAGS:
            problems.append(TemplateProblem(line, f"`{found[1]}` is not an MJML tag"))
    return problems


def _sample_problems(template: Template) -> list[TemplateProblem]:
    for contact, who in ((_FULL_CONTACT, "a full contact"), (_BARE_CONTACT, "a contact without attributes")):
        given = {name: v.default if v.default is not None else "sample" for name, v in template.variables.items()}
        context = MessageContext(contact, _ENROLLMENT, given, "https://example.test/u/sample")
        try:
            if template.kind == "sms":
                render_sms(template, context)
            else:
                render_email(template, context)
        except TemplateError as error:
            if error.code == "Mjml":
                return [_mjml_fault(template, context, who)]
            if error.code in ("EmptyBody", "EmptySubject") and contact is _BARE_CONTACT:
                return [TemplateProblem(0, f"nothing is left of it ({error.code}) for {who}: use `| default:`")]
            return [TemplateProblem(0, f"it does not render for {who}: {error.code}")]
    return []


def _mjml_fault(template: Template, context: MessageContext, who: str) -> TemplateProblem:
    """Where the MJML stops being XML, in lines of the file as far as Liquid left them in place."""
    rendered = compiled(template.body, markup=True).render(context.names())
    # mrml itself seldom says where; these two liberties of HTML it allows, expat does not.
    strict = _ENTITY.sub("-", _VOID.sub(r"<\1\2/>", rendered))
    parser = expat.ParserCreate()
    try:
        parser.Parse(strict, True)
    except expat.ExpatError as error:
        line = template.body_line + error.lineno - 1
        return TemplateProblem(line, f"the MJML is not valid XML for {who}: {expat.ErrorString(error.code)}")
    return TemplateProblem(0, f"the MJML does not parse for {who}")


_BARE_CONTACT: dict[str, Any] = {
    "id": "sample", "email": None, "phone": None, "timezone": None, "locale": None, "attributes": {},
}  # fmt: skip
_FULL_CONTACT: dict[str, Any] = {
    "id": "sample",
    "email": "sample@example.test",
    "phone": "+15005550006",
    "timezone": "Europe/Berlin",
    "locale": "en",
    "attributes": {"first_name": "Sam & <Co>", "last_name": "O'Sample", "company": 'Sample "Ltd"', "role": "engineer"},
}
_ENROLLMENT: dict[str, Any] = {"id": "sample", "track": "sample", "version": 1, "properties": {}}
