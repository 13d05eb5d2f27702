"""Send a folder of tracks and templates to a running API: what `perennial publish` and the demo do.

`policy.yaml` is the policy; any other `.yaml` file is a track, published under the name that it gives itself; a
template is a `.mjml`, `.liquid` or `.txt` file, published under its file name. The policy and the templates go
first, because tracks are checked against them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

TRACKS = (".yaml", ".yml")
TEMPLATES = (".mjml", ".liquid", ".txt")
POLICY = "policy.yaml"


@dataclass(frozen=True)
class Document:
    """One file to publish."""

    kind: Literal["policy", "template", "track"]
    name: str
    path: Path
    text: str

    @property
    def address(self) -> str:
        """Where the API takes it."""
        return "/v1/policy" if self.kind == "policy" else f"/v1/{self.kind}s/{self.name}"


@dataclass(frozen=True)
class Published:
    """What became of a document: a version, new or as before, or the problems, each with its place."""

    document: Document
    version: int | None = None
    created: bool = False
    problems: tuple[str, ...] = ()


def read_folder(folder: Path) -> list[Document]:
    """The documents below a folder: policy, templates, tracks, each kind by name.

    Raises ValueError where two files would be published under one name.
    """
    found: dict[tuple[str, str], Document] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in TRACKS + TEMPLATES and path.is_file()):
        text = path.read_text(encoding="utf-8")
        document = _document(path, text)
        kind = document.kind
        if other := found.get((kind, document.name)):
            raise ValueError(f"{other.path} and {path} both publish {kind} {document.name}")
        found[kind, document.name] = document
    return sorted(found.values(), key=lambda document: (document.kind, document.name))


def _document(path: Path, text: str) -> Document:
    if path.name == POLICY:
        return Document("policy", "policy", path, text)
    if path.suffix in TRACKS:
        return Document("track", track_name(text, path.stem), path, text)
    return Document("template", path.stem, path, text)


def track_name(text: str, otherwise: str) -> str:
    """The name that a track gives itself; its file's where it gives none (the API then says what is wrong)."""
    try:
        read = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return otherwise
    name = read.get("track") if isinstance(read, dict) else None
    return name if isinstance(name, str) and name else otherwise


def publish(client: httpx.Client, documents: list[Document]) -> Iterator[Published]:
    """Publish in order, telling of each; goes on after a refusal, so that all problems are told.

    Raises httpx.HTTPError if the API cannot be reached.
    """
    for document in documents:
        media = "text/plain" if document.kind == "template" else "application/yaml"
        answer = client.put(
            document.address,
            content=document.text.encode(),
            headers={"content-type": f"{media}; charset=utf-8"},
        )
        if answer.status_code in (200, 201):
            yield Published(document, answer.json()["version"], answer.status_code == 201)
        else:
            yield Published(document, problems=tuple(_problems(document, answer)))


def _problems(document: Document, answer: httpx.Response) -> Iterator[str]:
    try:
        problem = answer.json()
        errors = problem["errors"] or [{"detail": problem["detail"]}]
    except (ValueError, KeyError, TypeError):
        yield f"{document.path}: the API answered {answer.status_code}"
        return
    for error in errors:
        line = f":{error['line']}" if error.get("line") else ""
        step = f" step {error['step']}:" if error.get("step") else ""
        yield f"{document.path}{line}:{step} {error['detail']}"
