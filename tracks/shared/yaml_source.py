"""Read YAML 1.2 as plain data, with the line of every part, and without the features that surprise readers.

Anchors, aliases, tags and merge keys are refused, so that every part of a track is written out where it applies. An
alias could also expand without limit.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

Path = tuple[str | int, ...]
"""Keys and list indexes, from the top of the document."""

MAX_CHARACTERS = 500_000
MAX_DEPTH = 60
MAX_PARTS = 20_000
"""Keys, values and items of one document; reading each takes some fifty microseconds."""


@dataclass
class Source:
    """A document as data. `lines` has the line (from 1) of each path: that of the key, or of the list item."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)
    """Line and message."""

    def line(self, path: Path) -> int:
        """The line of a path, or of the nearest part around it; 0 where there is no text."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 0)


def read_yaml(text: str) -> Source:
    """Read one document. Never raises because of the text's content: see `problems`."""
    source = Source()
    if len(text) > MAX_CHARACTERS:
        source.problems.append((1, f"the document has {len(text)} characters; at most {MAX_CHARACTERS} are allowed"))
        return source
    if _too_deep(text):
        source.problems.append((1, f"the document is nested more than {MAX_DEPTH} deep"))
        return source
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    try:
        nodes = list(islice(yaml.compose_all(text), 2))  # a second document is an error
    except _TooManyParts as error:
        source.problems.append((error.line, f"the document has more than {MAX_PARTS:,} keys and values"))
        return source
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        source.problems.append(((mark.line + 1) if mark else 1, _syntax(error)))
        return source
    except (YAMLError, ValueError) as error:
        source.problems.append((1, f"not YAML: {str(error).splitlines()[0]}"))
        return source
    except RecursionError:
        source.problems.append((1, f"the document is nested more than {MAX_DEPTH} deep"))
        return source
    if len(nodes) != 1 or nodes[0] is None:
        message = "the file is empty" if not nodes or nodes[0] is None else "the file holds several documents"
        source.problems.append((1, f"{message}; write one track to a file"))
        return source
    _Builder(source).start(nodes[0])
    return source


class _TooManyParts(Exception):
    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class _BoundedComposer(Composer):
    """Stops reading a document as soon as it has too many parts."""

    def __init__(self, loader: Any = None) -> None:
        super().__init__(loader)
        self._parts = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _TooManyParts(self.parser.peek_event().start_mark.line + 1)
        return super().compose_node(parent, index)


def _too_deep(text: str) -> bool:
    """Whether flow collections are nested so deep that they exhaust the parser's stack. Indentation alone cannot be
    that deep within the size limit."""
    depth = 0
    for mark in re.findall(r"[\[\]{}]", text):
        depth += 1 if mark in "[{" else -1
        if depth > MAX_DEPTH * 4:
            return True
    return False


class _Builder:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._seen: set[int] = set()

    def start(self, node: Node) -> None:
        self._source.lines[()] = node.start_mark.line + 1
        self._source.data = self._value(node, ())

    def _refuse(self, node: Node, message: str) -> None:
        self._source.problems.append((node.start_mark.line + 1, message))

    def _value(self, node: Node, path: Path) -> Any:
        if id(node) in self._seen:
            return None  # an alias; the problem of its anchor is reported already
        self._seen.add(id(node))
        if node.anchor:
            self._refuse(node, f"anchors and aliases (&{node.anchor}) are not allowed; write the part out again")
        if len(path) > MAX_DEPTH:
            self._refuse(node, f"the document is nested more than {MAX_DEPTH} deep")
            return None
        tag = _tag(node)
        if not isinstance(node, ScalarNode) and tag not in ("map", "seq"):
            self._refuse(node, f"tags (!{tag}) are not allowed")
        if isinstance(node, MappingNode):
            return self._mapping(node, path)
        if isinstance(node, SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                self._source.lines[(*path, index)] = item.start_mark.line + 1
                items.append(self._value(item, (*path, index)))
            return items
        assert isinstance(node, ScalarNode)
        return self._scalar(node)

    def _mapping(self, node: MappingNode, path: Path) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._refuse(key_node, "a key must be a word")
                continue
            key = str(key_node.value)
            if key == "<<" and not key_node.style:
                self._refuse(key_node, "merge keys (<<) are not allowed; write the part out again")
                continue
            if key in out:
                first = self._source.lines[(*path, key)]
                self._refuse(key_node, f"'{key}' stands here twice; the first is on line {first}")
                continue
            self._source.lines[(*path, key)] = key_node.start_mark.line + 1
            out[key] = self._value(value_node, (*path, key))
        return out

    def _scalar(self, node: ScalarNode) -> Any:
        text, tag = str(node.value), _tag(node)
        allowed = ("str", "timestamp") if node.style else _IMPLICIT
        if tag not in allowed:
            self._refuse(node, f"tags (!{tag}) are not allowed")
        return text if node.style or tag == "str" else _plain(text)


_IMPLICIT = ("str", "null", "bool", "int", "float", "timestamp", "merge", "value")
"""The tags that the parser assigns to unquoted words."""


def _tag(node: Node) -> str:
    return str(node.tag).rsplit(":", 1)[-1].lstrip("!")


def _plain(text: str) -> Any:
    """An unquoted word as YAML 1.2's core schema reads it: `yes`, `09:00` and dates stay text."""
    if text in ("", "~", "null", "Null", "NULL"):
        return None
    if text in ("true", "True", "TRUE", "false", "False", "FALSE"):
        return text.lower() == "true"
    if re.fullmatch(r"[-+]?[0-9]{1,18}", text) and not re.fullmatch(r"[-+]?0[0-9]+", text):
        return int(text)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?", text) and not text.isdigit():
        number = float(text)
        return number if math.isfinite(number) else text
    return text


def _syntax(error: MarkedYAMLError) -> str:
    what = str(error.problem or error.context or "cannot be read")
    if "found character '\\t'" in what:
        return "not YAML: indent with spaces, not with tabs"
    if "mapping values are not allowed" in what:
        return "not YAML: a ':' followed by a space inside a value; put the value in quotes"
    if "could not find expected ':'" in what:
        return "not YAML: a ':' is missing after a key here or on the line before"
    return f"not YAML: {what}"
