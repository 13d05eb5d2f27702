"""Message templates: a text with front matter, parsed and checked without rendering it.

```
---
kind: email
locale: en
subject: 'Welcome, {{ contact.attributes.first_name | default: "friend" }}'
preheader: Three minutes to your first track
variables:
  cta: {default: Start now}
  plan: {required: true}
---
<mjml>…</mjml>
```

The variants in other languages are separate files, which leave out what is the same. All files together are one
template, and are published as one version. `tracks.content.templates.blocks` has the parts chosen for each contact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from tracks.content.templates.declarations import declaration_problems
from tracks.content.templates.front_matter import Parts, take_apart
from tracks.content.templates.locales import canonical
from tracks.content.templates.template_model import (
    OWN,
    Template,
    TemplateFacts,
    TemplateKind,
    TemplateVariable,
    Variant,
    template_facts,
)
from tracks.content.templates.template_problems import TemplateProblem, TemplateProblems
from tracks.shared.yaml_source import Path

__all__ = [
    "Template",
    "TemplateFacts",
    "TemplateKind",
    "TemplateProblem",
    "TemplateProblems",
    "TemplateVariable",
    "parse_template",
    "template_facts",
]


def parse_template(text: str, variants: Mapping[str, str] | None = None) -> Template:
    """Read a template's text, and the texts of its variants by their locale.

    Raises:
        TemplateProblems: the front matter is missing, is not YAML, or has invalid content.
    """
    parts = take_apart(text)
    template = _validated(Template, _with_lines(parts), parts)
    problems: list[TemplateProblem] = []
    found: dict[str, Variant] = dict(template.locales)
    for tag, variant in (variants or {}).items():
        try:
            name, read = _read_variant(tag, variant, template)
            if name in found:
                raise TemplateProblems([TemplateProblem(0, f"there are two variants for {name}")])
            found[name] = read
        except TemplateProblems as error:
            problems += [TemplateProblem(one.line, one.message, tag) for one in error.problems]
    template = template.model_copy(update={"locales": found})
    problems += [
        TemplateProblem(parts.line(path) if not tag else 1, message, tag)
        for path, message, tag in declaration_problems(template)
    ]
    if problems:
        raise TemplateProblems(problems)
    return template


def _read_variant(tag: str, text: str, template: Template) -> tuple[str, Variant]:
    name = canonical(tag)
    if name is None:
        raise TemplateProblems([TemplateProblem(0, f"'{tag}' is not a locale, such as de or pt-BR")])
    parts = take_apart(text)
    data = dict(parts.data)
    if data.pop("kind", template.kind) != template.kind:
        raise TemplateProblems([TemplateProblem(parts.line(("kind",)), f"the template is of the kind {template.kind}")])
    if canonical(data.pop("locale", name)) != name:
        raise TemplateProblems([TemplateProblem(parts.line(("locale",)), f"the file is the variant for {name}")])
    if "choices" in data:
        data["blocks"] = {**data.get("blocks", {}), OWN: data.pop("choices")}
    return name, _validated(Variant, {**data, **_body(parts)}, parts)


def _with_lines(parts: Parts) -> dict[str, Any]:
    """The front matter, with the lines on which the texts of blocks begin, for the problems found in them."""
    data: dict[str, Any] = {**parts.data, **_body(parts)}
    if isinstance(data.get("choices"), list):
        data["choices"] = _lined(data["choices"], ("choices",), parts)
    if isinstance(data.get("blocks"), dict):
        data["blocks"] = {
            name: _lined(value, ("blocks", name), parts) if isinstance(value, list) else value
            for name, value in data["blocks"].items()
        }
    return data


def _lined(choices: list[Any], path: Path, parts: Parts) -> list[Any]:
    return [
        {**choice, "line": parts.text_line((*path, index, "text"))}
        if isinstance(choice, dict) and "text" in choice
        else choice
        for index, choice in enumerate(choices)
    ]


def _body(parts: Parts) -> dict[str, Any]:
    reserved = [key for key in ("body", "body_line") if key in parts.data]
    if reserved:
        raise TemplateProblems([TemplateProblem(1, f"front matter cannot hold `{key}`") for key in reserved])
    data: dict[str, Any] = {"body": parts.body, "body_line": parts.body_line}
    variables = parts.data.get("variables")
    if isinstance(variables, dict):  # `name:` alone declares an optional variable
        data["variables"] = {name: {} if value is None else value for name, value in variables.items()}
    elif "variables" in parts.data and variables is None:
        data["variables"] = {}
    return data


_Read = TypeVar("_Read", Template, Variant)


def _validated(model: type[_Read], data: dict[str, Any], parts: Parts) -> _Read:
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise TemplateProblems([_front_problem(e["loc"], e["msg"], parts) for e in error.errors()]) from None


def _front_problem(location: tuple[int | str, ...], message: str, parts: Parts) -> TemplateProblem:
    if location[0] == "blocks" and location[2:3] == ("choices",):  # authors write the list without the key `choices`
        location = (*location[:2], *location[3:])
    where = ".".join(str(part) for part in location)
    return TemplateProblem(parts.line(location), f"{where}: {message[:1].lower()}{message[1:]}")
