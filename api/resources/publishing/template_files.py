"""Templates in requests: one file, a file with its variants, or the same as JSON data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, Field, ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.bodies.reading import is_json, parse_json, read_text
from api.http.fields import SLUG
from api.http.problems import ProblemError, field_problems, invalid, not_published
from api.resources.publishing.document_errors import template_errors
from api.resources.publishing.documents import TemplateDocument
from store.published import templates
from tracks.content.templates.shared_blocks import SharedKey, shared_keys, with_shared
from tracks.content.templates.template import Template, TemplateProblem, TemplateProblems, parse_template


class TemplateFiles(BaseModel, extra="forbid"):
    """A template's file and the files of its variants."""

    source: str = Field(description="The file: front matter, then the body.")
    locales: dict[str, str] = Field(default={}, max_length=100, description="The variants' files by locale.")

    def stored(self) -> str:
        """The text that is stored as the version's source."""
        if not self.locales:
            return self.source
        return json.dumps({"source": self.source, "locales": self.locales}, ensure_ascii=False, sort_keys=True)


def read_template(name: str, kind: str, body: bytes) -> TemplateDocument:
    """Parse the template in a body, as far as possible. Raises a 422 if the body is JSON but no template."""
    text = read_text(body)
    if not is_json(kind):
        return read_document(name, TemplateFiles(source=text))
    data = parse_json(body)
    try:
        if isinstance(data, dict) and "source" in data:
            return read_document(name, TemplateFiles.model_validate(data))
        return TemplateDocument(name, text, Template.model_validate(data))
    except ValidationError as error:
        located = [{**problem, "loc": ("body", *problem["loc"])} for problem in error.errors()]
        raise invalid(field_problems(located)) from None


def read_document(name: str, files: TemplateFiles) -> TemplateDocument:
    """Parse the template in these files, as far as possible."""
    problems: list[TemplateProblem] = []
    if not re.fullmatch(SLUG.strip("^$"), name):
        problems.append(TemplateProblem(0, f"the name '{name}' should be lower-case letters, digits and -, at most 63"))
    template: Template | None = None
    try:
        template = parse_template(files.source, files.locales)
    except TemplateProblems as error:
        problems += error.problems
    return TemplateDocument(name, files.stored(), template, tuple(problems))


def read_files(name: str, files: TemplateFiles) -> Template:
    """Parse the template in these files. Raises a 422 that names all errors."""
    try:
        return parse_template(files.source, files.locales)
    except TemplateProblems as error:
        raise refused(name, error.problems) from None


def files_of(stored: str) -> TemplateFiles:
    """The files that a version was published from. JSON is returned as it was sent."""
    if stored.startswith("{"):
        data: Any = json.loads(stored)
        if isinstance(data.get("source"), str):
            return TemplateFiles.model_validate(data)
    return TemplateFiles(source=stored)


async def share_blocks(tx: AsyncConnection, name: str, template: Template) -> Template:
    """The template with its shared blocks, which must be published. Raises a 422 for missing blocks."""
    known: dict[SharedKey, tuple[int, Template]] = {}
    for key in shared_keys(template):
        found = await templates.get(tx, *key)
        if found is not None:
            known[key] = (found.version, Template.model_validate(found.data))
    shared, problems = with_shared(template, known)
    if problems:
        raise refused(name, problems)
    return shared


def refused(name: str, problems: Iterable[TemplateProblem]) -> ProblemError:
    """A 422 for a template that cannot be used."""
    return not_published(f"template {name}", template_errors(problems))
