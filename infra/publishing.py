"""Send a folder of tracks and templates to a running API: what `perennial publish` and the demo do.

`policy.yaml` is the policy; any other `.yaml` file is a track, published under the name that it gives itself; a
template is a `.mjml`, `.liquid` or `.txt` file, published under its file name. The policy and the templates go
first, because tracks are checked against them. `welcome.de.mjml` is the German of `welcome.mjml`: both are one
template and one version. Shared blocks go before the templates that take them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

TRACKS = (".yaml", ".yml")
TEMPLATES = (".mjml", ".liquid", ".txt")
POLICY = "policy.yaml"
_BLOCK = re.compile(r"^kind:\s*[\"']?block\b", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """One file to publish."""

    kind: Literal["policy", "template", "track"]
    name: str
    path: Path
    text: str
    variants: Mapping[str, Path] = field(default_factory=dict)
    """Of a template: its files in other languages, by locale."""

    def body(self) -> dict[str, Any]:
        """A template's files as the API takes them."""
        locales = {tag: path.read_text(encoding="utf-8") for tag, path in self.variants.items()}
        return {"source": self.text} | ({"locales": locales} if locales else {})

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

    Raises ValueError where two files would be published under one name, or a variant has no template beside it.
    """
    found: dict[tuple[str, str], Document] = {}
    paths = sorted(path for path in folder.rglob("*") if path.suffix in TRACKS + TEMPLATES and path.is_file())
    variants = {path for path in paths if path.suffix in TEMPLATES and "." in path.stem}
    for path in (path for path in paths if path not in variants):
        text = path.read_text(encoding="utf-8")
        document = _document(path, text)
        kind = document.kind
        if other := found.get((kind, document.name)):
            raise ValueError(f"{other.path} and {path} both publish {kind} {document.name}")
        found[kind, document.name] = document
    beside = {path for document in found.values() for path in document.variants.values()}
    for path in sorted(variants - beside):
        raise ValueError(f"{path} is a variant of a template {path.stem.split('.', 1)[0]} that is not beside it")
    return sorted(found.values(), key=_order)


def _order(document: Document) -> tuple[str, bool, str]:
    shared = document.kind == "template" and _BLOCK.search(document.text) is not None
    return document.kind, not shared, document.name


def _document(path: Path, text: str) -> Document:
    if path.name == POLICY:
        return Document("policy", "policy", path, text)
    if path.suffix in TRACKS:
        return Document("track", track_name(text, path.stem), path, text)
    return read_template(path)


def read_template(path: Path) -> Document:
    """A template's file with its variants beside it.

    Raises ValueError where two of them are for one locale.
    """
    variants: dict[str, Path] = {}
    for other in sorted(path.parent.glob(f"{path.stem}.*")):
        name, _, tag = other.stem.partition(".")
        if other.suffix in TEMPLATES and tag and name == path.stem:
            if tag in variants:
                raise ValueError(f"{variants[tag]} and {other} are both the variant {tag} of {name}")
            variants[tag] = other
    return Document("template", path.stem, path, path.read_text(encoding="utf-8"), variants)


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
        if document.kind == "template":
            answer = client.put(document.address, json=document.body())
        else:
            headers = {"content-type": "application/yaml; charset=utf-8"}
            answer = client.put(document.address, content=document.text.encode(), headers=headers)
        if answer.status_code in (200, 201):
            yield Published(document, answer.json()["version"], answer.status_code == 201)
        else:
            yield Published(document, problems=tuple(refusals(document, answer)))


def refusals(document: Document, answer: httpx.Response) -> Iterator[str]:
    """What an answer says is wrong, a line each, with the file and its line."""
    try:
        problem = answer.json()
        errors = problem["errors"] or [{"detail": problem["detail"]}]
    except (ValueError, KeyError, TypeError):
        yield f"{document.path}: the API answered {answer.status_code}"
        return
    for error in errors:
        line = f":{error['line']}" if error.get("line") else ""
        _, _, tag = str(error.get("pointer") or "").partition("#/locales/")
        path = document.variants.get(tag, document.path)
        step = f" step {error['step']}:" if error.get("step") else ""
        yield f"{path}{line}:{step} {error['detail']}"
