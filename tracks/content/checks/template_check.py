"""The problems of a template, found when it is published and not when it is sent."""

from __future__ import annotations

import re
import xml.parsers.expat as expat
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from liquid.exceptions import LiquidError

from tracks.content.checks.missing_values import printed_bare
from tracks.content.liquid.language import FILTERS, compiled
from tracks.content.markup.hrefs import refused_schemes
from tracks.content.markup.mjml import TAGS, place_of_fault, unknown_in
from tracks.content.rendering.plain_text import HTML, shown_as_text
from tracks.content.rendering.render import (
    MessageContext,
    RenderedEmail,
    TemplateError,
    render_email,
    render_sms,
    rendered_mjml,
)
from tracks.content.templates.blocks import OTHERWISE, Block
from tracks.content.templates.declarations import declaration_problems
from tracks.content.templates.front_matter import MAX_SOURCE
from tracks.content.templates.template_model import LINKS, Template
from tracks.content.templates.template_problems import TemplateProblem
from tracks.shared.problems import meant

CONTACT_FIELDS = frozenset(("id", "email", "phone", "timezone", "locale", "attributes"))
ENROLLMENT_FIELDS = frozenset(("id", "track", "version", "properties"))
_FIELDS: Mapping[str, frozenset[str]] = {"contact": CONTACT_FIELDS, "enrollment": ENROLLMENT_FIELDS}

_TAG = re.compile(r"<(mj-?[a-z-]*)[\s/>]")
_VOID = re.compile(r"<(br|hr|img|input|link|meta)\b([^<>]*?)/?>")
_ENTITY = re.compile(r"&[A-Za-z][A-Za-z0-9]*;")
_INCLUDE = "mj-include"
_NO_TAG = "is not an MJML tag that the renderer knows"


def check_template(template: Template) -> list[TemplateProblem]:
    """All problems of a template, in each language: its declarations, its Liquid, the names it uses, its MJML.

    The template is also rendered for a contact with every field and for a contact with only an id, once with each text
    of its blocks. So neither a missing attribute nor a choice of a block can break a message later. The shared blocks
    must be in their places already (`tracks.content.templates.shared_blocks`).
    """
    problems = [TemplateProblem(0, message, tag) for _, message, tag in declaration_problems(template)]
    for tag, edition in template.editions():
        found = _edition_problems(edition)
        found = found or ([] if problems else _sample_problems(edition))
        problems += [replace(problem, locale=tag) for problem in found]
    return problems


def _edition_problems(template: Template) -> list[TemplateProblem]:
    """The problems of the texts in one language."""
    problems: list[TemplateProblem] = []
    known = {*template.variables}
    optional = {name for name, v in template.variables.items() if not v.required and v.default is None}
    blocks = frozenset(template.blocks)
    used: set[str] = set()
    for part, source, line in _parts(template):
        problems += check_text(
            source, known, line=line, part=part, optional=optional, blocks=blocks, used=used, told=True
        )
    own = {"": template.as_block()} if template.kind == "block" else {}
    for name, block in {**template.blocks, **own}.items():
        texts = [(choice.name, choice.text, choice.line) for choice in block.choices]
        texts += [(OTHERWISE, block.otherwise, block.line)] if name else []
        for choice, text, line in texts:
            said = f"block `{name}`, `{choice}`" if name else f"`{choice}`"
            problems += check_text(text, known, line=line, part=said, optional=optional, told=True)
            problems += _unknown_tags(text, line, said) if template.is_mjml else []
    problems += [
        TemplateProblem(0, f"block `{name}` is shown nowhere: write {{{{ blocks.{name} }}}} where it belongs")
        for name in sorted(blocks - used)
    ]
    if template.is_mjml:
        problems += _unknown_tags(template.body, template.body_line, "")
    elif template.kind != "block":
        problems += _html_problems(template)
    problems += [
        TemplateProblem(0, f"{f'in the {part}: ' if part else ''}it has more than {MAX_SOURCE:,} characters")
        for part, source, _ in _parts(template)
        if len(source) > MAX_SOURCE
    ]
    return problems


def _html_problems(template: Template) -> Iterator[TemplateProblem]:
    """HTML in a message that is plain text: the recipient would see the tags."""
    for text, line in [
        (template.body, template.body_line),
        *((text, 0) for block in template.blocks.values() for text in block.texts().values()),
    ]:
        found = HTML.search(text)
        if found is not None:
            yield TemplateProblem(_line(text, found.start(), line), shown_as_text(template, found[0]))


def _parts(template: Template) -> list[tuple[str, str, int]]:
    return [
        ("subject", template.subject, 0),
        ("preheader", template.preheader, 0),
        ("", template.body, template.body_line),
    ]


def check_text(
    source: str,
    variables: Iterable[str] = (),
    *,
    line: int = 0,
    part: str = "",
    optional: Collection[str] = (),
    blocks: Collection[str] = (),
    used: set[str] | None = None,
    told: bool = False,
    links: bool = True,
) -> list[TemplateProblem]:
    """The problems of one Liquid text: its syntax, and names that no message has.

    Args:
        source: the Liquid.
        variables: names that it may use besides those of every message.
        line: the line of the file on which it begins, or 0 if problems should have no line.
        part: its name in the messages, such as `subject`.
        optional: the variables that may be missing.
        blocks: blocks that it may show.
        used: collects the names of the blocks that it shows.
        told: whether a person reads it; a value that may be missing then needs a `default`.
        links: whether it may show the links of a message.
    """
    said = f"in the {part}: " if part else ""
    try:
        template = compiled(source, markup=False)
        analysis = template.analyze()
    except LiquidError as error:
        at = error.token.start_index if error.token is not None else -1
        return [TemplateProblem(_line(source, at, line), f"{said}{error.message}")]
    allowed = {*_FIELDS, *(LINKS if links else ()), *variables, *(["blocks"] if blocks else [])}
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
            elif name == "blocks" and not (isinstance(field, str) and field in blocks):
                right = meant(field or "", sorted(blocks))
                problems.append(TemplateProblem(where, f"{said}there is no block `{field or ''}`{right}"))
            elif name == "blocks" and used is not None:
                used.add(str(field))
    if told:
        problems += [
            TemplateProblem(
                _line(source, index, line),
                f"{said}`{path}` may be missing: write `| default:` and a text for that case, or test it with `if`",
            )
            for index, path in printed_bare(template, optional)
        ]
    return sorted(set(problems), key=lambda problem: (problem.line, problem.message))


def _line(source: str, index: int, first: int) -> int:
    if first == 0:
        return 0
    return first + (source.count("\n", 0, index) if index > 0 else 0)


def _unknown_tags(text: str, first: int, part: str) -> list[TemplateProblem]:
    said = f"in the {part}: " if part else ""
    problems = []
    for found in _TAG.finditer(text):  # mrml drops unknown tags without an error
        if found[1] in TAGS:
            continue
        why = "is not available: share a block instead" if found[1] == _INCLUDE else _NO_TAG
        problems.append(TemplateProblem(_line(text, found.start(), first), f"{said}`{found[1]}` {why}"))
    return problems


def _sample_problems(template: Template) -> list[TemplateProblem]:
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
        contact, _ENROLLMENT, given, "https://sample.test/u", "https://sample.test/p", "https://sample.test/c"
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
            _line(body, at, template.body_line) if at >= 0 else 0,
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
            yield TemplateProblem(_line(template.body, at, template.body_line) if at >= 0 else 0, message)
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
        _line(rendered, at, template.body_line + lines),
        f"the MJML does not parse for {who}: `{what}` cannot stand here",
    )


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
