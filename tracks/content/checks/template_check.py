"""The problems of a template, found when it is published and not when it is sent."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from liquid.exceptions import LiquidError

from tracks.content import brand
from tracks.content.checks.missing_values import printed_bare
from tracks.content.checks.sample_messages import sample_problems
from tracks.content.liquid.language import FILTERS, compiled
from tracks.content.markup.mjml import TAGS
from tracks.content.rendering.plain_text import HTML, shown_as_text
from tracks.content.templates.blocks import OTHERWISE
from tracks.content.templates.declarations import declaration_problems
from tracks.content.templates.front_matter import MAX_SOURCE
from tracks.content.templates.template_model import LINKS, Template
from tracks.content.templates.template_problems import TemplateProblem, line_of
from tracks.shared.problems import meant

CONTACT_FIELDS = frozenset(("id", "email", "phone", "timezone", "locale", "attributes", "scores"))
ENROLLMENT_FIELDS = frozenset(("id", "track", "version", "entry", "properties"))
EVENT_FIELDS = frozenset(("event_id", "name", "at", "properties"))
_FIELDS: Mapping[str, frozenset[str]] = {
    "contact": CONTACT_FIELDS,
    "enrollment": ENROLLMENT_FIELDS,
    "brand": brand.FIELDS,
    "event": EVENT_FIELDS,
}

_TAG = re.compile(r"<(mj-?[a-z-]*)[\s/>]")
_INCLUDE = "mj-include"
_EVENT_BY_VARIABLE = (
    "; what the template shows of an event is a variable, which the step gives it: "
    "variables: {number: '{{ event.properties.number }}'}"
)
_NO_TAG = "is not an MJML tag that the renderer knows"


def check_template(template: Template) -> list[TemplateProblem]:
    """All problems of a template, in each language: its declarations, its Liquid, the names it uses, its MJML.

    The template is also rendered for sample contacts. The shared blocks must be in their places already
    (`tracks.content.templates.shared_blocks`).
    """
    problems = [TemplateProblem(0, message, tag) for _, message, tag in declaration_problems(template)]
    for tag, edition in template.editions():
        found = _edition_problems(edition)
        found = found or ([] if problems else sample_problems(edition))
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
            yield TemplateProblem(line_of(text, found.start(), line), shown_as_text(template, found[0]))


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
    event: bool = False,
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
        links: whether it may show the links of a message, and the brand.
        event: whether it may read the event that the run's latest wait matched.
    """
    said = f"in the {part}: " if part else ""
    try:
        template = compiled(source, markup=False)
        analysis = template.analyze()
    except LiquidError as error:
        at = error.token.start_index if error.token is not None else -1
        return [TemplateProblem(line_of(source, at, line), f"{said}{error.message}")]
    own = {*variables}
    hidden = own | (set() if links else {"brand"}) | (set() if event else {"event"})
    fields = {name: known for name, known in _FIELDS.items() if name not in hidden}
    allowed = {*fields, *(LINKS if links else ()), *own, *(["blocks"] if blocks else [])}
    problems = [
        TemplateProblem(line_of(source, use.index, line), f"{said}there is no filter `{name}`")
        for name, uses in analysis.filters.items()
        if name not in FILTERS
        for use in uses
    ]
    for name, uses in analysis.globals.items():
        for use in uses:
            where = line_of(source, use.span.index, line)
            field = use.segments[1] if len(use.segments) > 1 else None
            if name not in allowed:
                right = _EVENT_BY_VARIABLE if name == "event" else meant(name, sorted(allowed))
                problems.append(TemplateProblem(where, f"{said}unknown variable '{name}'{right}"))
            elif name in fields and isinstance(field, str) and field not in fields[name]:
                hint = f"; did you mean `contact.attributes.{field}`?" if name == "contact" else ""
                hint = hint or meant(field, sorted(fields[name]))
                problems.append(TemplateProblem(where, f"{said}`{name}.{field}` does not exist{hint}"))
            elif name == "blocks" and not (isinstance(field, str) and field in blocks):
                right = meant(field or "", sorted(blocks))
                problems.append(TemplateProblem(where, f"{said}there is no block `{field or ''}`{right}"))
            elif name == "blocks" and used is not None:
                used.add(str(field))
    if told:
        problems += [
            TemplateProblem(
                line_of(source, index, line),
                f"{said}`{path}` may be missing: write `| default:` and a text for that case, or test it with `if`",
            )
            for index, path in printed_bare(template, optional)
            if path.partition(".")[0] not in own & {"brand", "event"}
        ]
    return sorted(set(problems), key=lambda problem: (problem.line, problem.message))


def _unknown_tags(text: str, first: int, part: str) -> list[TemplateProblem]:
    said = f"in the {part}: " if part else ""
    problems = []
    for found in _TAG.finditer(text):  # mrml drops unknown tags without an error
        if found[1] in TAGS:
            continue
        why = "is not available: share a block instead" if found[1] == _INCLUDE else _NO_TAG
        problems.append(TemplateProblem(line_of(text, found.start(), first), f"{said}`{found[1]}` {why}"))
    return problems
