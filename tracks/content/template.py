"""Message templates: a text with front matter, and what can be told about one without rendering it.

```
---
kind: email
subject: 'Welcome, {{ contact.attributes.first_name | default: "friend" }}'
preheader: Three minutes to your first track
variables:
  cta: {default: Start now}
  plan: {required: true}
---
<mjml>…</mjml>
```
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

TemplateKind = Literal["email", "sms"]

RESERVED = frozenset({"contact", "enrollment", "unsubscribe_url", "preferences_url", "confirm_url"})
"""Names that every message has; a declared variable cannot take one."""

_FENCE = re.compile(r"\A\ufeff?---[ \t]*\r?\n(?P<head>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MAX_SOURCE = 200_000


@dataclass(frozen=True)
class TemplateProblem:
    """One thing wrong with a template; `line` counts from 1 in the file, 0 where no line is to blame."""

    line: int
    message: str


class TemplateProblems(Exception):
    """A template that cannot be read; `problems` holds all that was found."""

    def __init__(self, problems: list[TemplateProblem]) -> None:
        super().__init__("; ".join(p.message for p in problems))
        self.problems = problems


class TemplateVariable(BaseModel):
    """A value that the step may give; a required one it must give."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    default: Any = None
    required: bool = False


class Template(BaseModel):
    """A parsed template, JSON-able; `body` is MJML or plain text with Liquid in it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: TemplateKind
    subject: str = ""
    preheader: str = ""
    variables: dict[str, TemplateVariable] = Field(default_factory=dict)
    body: str
    body_line: int = 1
    """Line of the file on which the body begins."""

    @property
    def is_mjml(self) -> bool:
        """Whether the body is MJML; any other email goes out as text alone."""
        return self.kind == "email" and "<mjml" in self.body


@dataclass(frozen=True)
class TemplateFacts:
    """What publishing a track needs to know of a template it names."""

    kind: TemplateKind
    variables: frozenset[str]
    required: frozenset[str]
    unsubscribe: bool
    """The body offers the way out (`unsubscribe_url`)."""


def template_facts(template: Template) -> TemplateFacts:
    """The facts about a template that tracks naming it are checked against."""
    return TemplateFacts(
        kind=template.kind,
        variables=frozenset(template.variables),
        required=frozenset(name for name, variable in template.variables.items() if variable.required),
        unsubscribe="unsubscribe_url" in template.body,
    )


def parse_template(text: str) -> Template:
    """Read a template's text.

    Raises:
        TemplateProblems: the front matter is missing, is not YAML, or says something it cannot say.
    """
    if len(text) > _MAX_SOURCE:
        raise TemplateProblems([TemplateProblem(0, f"the template has more than {_MAX_SOURCE:,} characters")])
    found = _FENCE.match(text)
    if found is None:
        raise TemplateProblems(
            [TemplateProblem(1, "the template must begin with front matter between two lines of `---`")]
        )
    body = text[found.end() :]
    body_line = text.count("\n", 0, found.end()) + 1
    data = _front_matter(found["head"])
    reserved_keys = [key for key in ("body", "body_line") if key in data]
    if reserved_keys:
        raise TemplateProblems([TemplateProblem(1, f"front matter cannot hold `{key}`") for key in reserved_keys])
    try:
        template = Template.model_validate({**data, "body": body, "body_line": body_line})
    except ValidationError as error:
        raise TemplateProblems([_front_problem(found["head"], e["loc"], e["msg"]) for e in error.errors()]) from None
    problems = declaration_problems(template)
    if problems:
        raise TemplateProblems([TemplateProblem(_line_of(found["head"], name), message) for name, message in problems])
    return template


def declaration_problems(template: Template) -> list[tuple[str, str]]:
    """What is wrong with a template's own declarations: pairs of the name at fault and a sentence."""
    problems: list[tuple[str, str]] = []
    if template.kind == "email" and not template.subject.strip():
        problems.append(("subject", "an email template needs a `subject`"))
    if template.kind == "sms":
        problems += [
            (name, f"an sms template has no `{name}`") for name in ("subject", "preheader") if getattr(template, name)
        ]
    if not template.body.strip():
        problems.append(("", "the body is empty"))
    for name, variable in template.variables.items():
        if name in RESERVED:
            problems.append((name, f"the variable `{name}` has the name of something every message has"))
        elif not _NAME.fullmatch(name):
            problems.append((name, f"the variable `{name}` must be lower-case letters, digits and `_`"))
        if variable.required and variable.default is not None:
            problems.append((name, f"the variable `{name}` cannot be required and have a default"))
    return problems


def _front_matter(head: str) -> dict[str, Any]:
    try:
        data = YAML(typ="safe", pure=True).load(StringIO(head))
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 2 if error.problem_mark is not None else 1
        hint = "; put quotes around Liquid" if "{{" in head else ""
        raise TemplateProblems([TemplateProblem(line, f"front matter is not YAML: {error.problem}{hint}")]) from None
    except YAMLError as error:
        raise TemplateProblems([TemplateProblem(1, f"front matter is not YAML: {error}")]) from None
    if not isinstance(data, dict):
        raise TemplateProblems([TemplateProblem(1, "front matter must be a mapping such as `kind: email`")])
    variables = data.get("variables")
    if isinstance(variables, dict):  # `name:` alone declares an optional variable
        data["variables"] = {str(name): {} if value is None else value for name, value in variables.items()}
    elif variables is None:
        data.pop("variables", None)
    return {str(key): value for key, value in data.items()}


def _front_problem(head: str, location: tuple[int | str, ...], message: str) -> TemplateProblem:
    where = ".".join(str(part) for part in location)
    return TemplateProblem(_line_of(head, str(location[-1])), f"{where}: {message[:1].lower()}{message[1:]}")


def _line_of(head: str, name: str) -> int:
    """Line in the file of a front-matter key (its first line is the fence)."""
    found = re.search(rf"(?:^|[\s{{,])[\"']?{re.escape(name)}[\"']?\s*:", head) if name else None
    return 1 if found is None else head.count("\n", 0, found.end()) + 2
