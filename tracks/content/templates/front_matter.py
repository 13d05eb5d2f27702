"""Split a template's file into its front matter (as data, with line numbers) and the body below it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from tracks.content.templates.template_problems import TemplateProblem, TemplateProblems
from tracks.shared.yaml_source import Path, Source, read_yaml

MAX_SOURCE = 200_000
_FENCE = re.compile(r"\A\ufeff?---[ \t]*\r?\n(?P<head>.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)
_BLOCK_SCALAR = re.compile(r":\s*[|>][-+0-9]*\s*(?:#.*)?$")


@dataclass(frozen=True)
class Parts:
    """A file's front matter as data, its body, and the lines of both."""

    data: dict[str, Any]
    body: str
    body_line: int
    head: str
    source: Source

    def line(self, path: Path) -> int:
        """The line in the file of a part of the front matter, or of the nearest part around it."""
        while path and path not in self.source.lines:
            path = path[:-1]
        return self.source.lines[path] + 1 if path else 1

    def text_line(self, path: Path) -> int:
        """The line on which a text of several lines (`|`) begins; 0 for a text on the line of its key."""
        found = self.source.lines.get(path, 0)
        lines = self.head.splitlines()
        return found + 2 if 0 < found <= len(lines) and _BLOCK_SCALAR.search(lines[found - 1]) else 0


def take_apart(text: str) -> Parts:
    """Split the text of a template's file.

    Raises:
        TemplateProblems: it has no front matter, or none that can be read.
    """
    if len(text) > MAX_SOURCE:
        raise TemplateProblems([TemplateProblem(0, f"the template has more than {MAX_SOURCE:,} characters")])
    found = _FENCE.match(text)
    if found is None:
        raise TemplateProblems(
            [TemplateProblem(1, "the template must begin with front matter between two lines of `---`")]
        )
    head = found["head"]
    source = read_yaml(head) if head.strip() else Source({})
    if source.problems:
        hint = "; put quotes around Liquid" if "{{" in head else ""
        raise TemplateProblems(
            [TemplateProblem(line + 1, f"front matter: {message}{hint}") for line, message in source.problems]
        )
    if not isinstance(source.data, dict):
        raise TemplateProblems([TemplateProblem(1, "front matter must be a mapping such as `kind: email`")])
    return Parts(source.data, text[found.end() :], text.count("\n", 0, found.end()) + 1, head, source)
