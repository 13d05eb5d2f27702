"""Send a folder of tracks, segments, scores and templates to a running API, for `perennial publish` and the demo.

`policy.yaml` is the policy. Any other `.yaml` file is a track, a segment or a score, published under the name in it. A
template is a `.mjml`, `.liquid` or `.txt` file, published under its file name. All are sent in one deploy, so that
they are published together or not at all. `welcome.de.mjml` is the German variant of `welcome.mjml`: both are one
template and one version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import httpx
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

TRACKS = (".yaml", ".yml")
TEMPLATES = (".mjml", ".liquid", ".txt")
POLICY = "policy.yaml"
UNKNOWN_KEY = "The API does not know this key."
PATIENCE = 300.0
"""Timeout in seconds: before publishing, every template is rendered for every kind of contact."""
_BLOCK = re.compile(r"^kind:\s*[\"']?block\b", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """A file for the API."""

    kind: Literal["policy", "template", "track", "segment", "score"]
    name: str
    path: Path
    text: str
    variants: Mapping[str, Path] = field(default_factory=dict)
    """For a template: its files in other languages, by locale."""

    def body(self) -> dict[str, Any]:
        """A template's files as the API takes them."""
        locales = {tag: path.read_text(encoding="utf-8") for tag, path in self.variants.items()}
        return {"source": self.text} | ({"locales": locales} if locales else {})

    @property
    def address(self) -> str:
        """The path at which the API publishes this document alone."""
        return "/v1/policy" if self.kind == "policy" else f"/v1/{self.kind}s/{self.name}"


@dataclass(frozen=True)
class Published:
    """The result for a document, real or of a dry run: see the API's `Deployed`."""

    kind: Literal["policy", "template", "score", "segment", "track"]
    name: str
    version: int
    outcome: Literal["new", "changed", "unchanged"]
    changes: Sequence[str] = ()
    reaches: Sequence[Mapping[str, Any]] = ()
    staying: Sequence[Mapping[str, Any]] = ()

    def words(self) -> Iterator[str]:
        """One line, and further lines for details."""
        what = "policy" if self.kind == "policy" else f"{self.kind} {self.name}"
        yield f"{what} version {self.version} ({self.outcome})"
        yield from (f"  {change}" for change in self.changes)
        if self.reaches:
            yield f"  may still be sent to {_runs(self.reaches)}"
        if self.staying:
            yield f"  {_runs(self.staying)}: they stay on the version they began with"


_TOLD = tuple(each.name for each in fields(Published))


@dataclass(frozen=True)
class Answer:
    """The result of a deploy: all its documents, or the problems because of which none was published."""

    documents: tuple[Published, ...] = ()
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def _runs(on: Sequence[Mapping[str, Any]]) -> str:
    count = sum(int(one["runs"]) for one in on)
    where = ", ".join(f"{one['track']} version {one['version']}: {one['runs']}" for one in on)
    return f"{count} in flight ({where})"


def read_folder(folder: Path) -> list[Document]:
    """The documents below a folder: policy, templates, tracks, each kind sorted by name.

    Raises ValueError if two files would be published under one name, or a variant has no template beside it.
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
        kind, name = named(text, path.stem)
        return Document(kind, name, path, text)
    return read_template(path)


def read_template(path: Path) -> Document:
    """A template's file with its variants beside it.

    Raises ValueError if two of them are for one locale.
    """
    variants: dict[str, Path] = {}
    for other in sorted(path.parent.glob(f"{path.stem}.*")):
        name, _, tag = other.stem.partition(".")
        if other.suffix in TEMPLATES and tag and name == path.stem:
            if tag in variants:
                raise ValueError(f"{variants[tag]} and {other} are both the variant {tag} of {name}")
            variants[tag] = other
    return Document("template", path.stem, path, path.read_text(encoding="utf-8"), variants)


def named(text: str, otherwise: str) -> tuple[Literal["score", "segment", "track"], str]:
    """Whether a text is a score, a segment or a track, and the name inside it; if it has none, `otherwise`, such as the
    file's name (the API then reports the error)."""
    try:
        read = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return "track", otherwise
    data = read if isinstance(read, dict) else {}
    kind: Literal["score", "segment", "track"] = "track"
    if "track" not in data and ("segment" in data or "score" in data):
        kind = "segment" if "segment" in data else "score"
    name = data.get(kind)
    return kind, name if isinstance(name, str) and name else otherwise


def publish(
    client: httpx.Client,
    documents: list[Document],
    *,
    dry_run: bool = False,
    existing: str = "ignore",
    existing_grades: str = "ignore",
) -> Answer:
    """Publish documents together: all, or none with all errors. With `dry_run`, only report what would change.

    `existing`: `enter`, if those who are members of a new version of a segment at first enter tracks.
    `existing_grades`: `tell`, if those whose grade is another one by a new version of a score do.

    Raises httpx.HTTPError if the API cannot be reached.
    """
    body: dict[str, Any] = {"dry_run": dry_run, "existing": existing, "existing_grades": existing_grades}
    body |= {"templates": {}, "segments": {}, "scores": {}, "tracks": {}}
    for document in documents:
        if document.kind == "policy":
            body["policy"] = document.text
        elif document.kind == "template":
            body["templates"][document.name] = document.body()
        else:
            body[f"{document.kind}s"][document.name] = document.text
    answer = client.post("/v1/deploys", json=body, timeout=PATIENCE)
    if answer.status_code != 200:
        return Answer(problems=tuple(_refusals(documents, answer)))
    told = answer.json()
    return Answer(
        tuple(Published(**{key: one[key] for key in _TOLD}) for one in told["documents"]),
        warnings=tuple(_line(documents, warning) for warning in told["warnings"]),
    )


def refusals(document: Document | None, answer: httpx.Response) -> Iterator[str]:
    """The errors in an answer, one line each, with the document's file and the line in it if known."""
    for error in _errors(answer):
        if "detail" not in error:
            yield str(error["words"])
        else:
            at = str(error.get("pointer") or "")
            yield _placed(document, at, error) if document else str(error["detail"])


def _refusals(documents: list[Document], answer: httpx.Response) -> Iterator[str]:
    for error in _errors(answer):
        yield _line(documents, error) if "detail" in error else str(error["words"])


def _errors(answer: httpx.Response) -> list[dict[str, Any]]:
    """The errors of a refusal. If it lists none, one error with the text of the whole refusal."""
    try:
        problem = answer.json()
        errors: list[dict[str, Any]] = problem.get("errors") or []
        words = str(problem["detail"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return [{"words": f"The API answered {answer.status_code}."}]
    if answer.status_code == 401:
        words = f"{UNKNOWN_KEY} {words}"
    return errors or [{"words": words}]


def _line(documents: list[Document], error: dict[str, Any]) -> str:
    """An error of a deploy, with the file that its pointer names."""
    pointer = str(error.get("pointer") or "")
    for document in documents:
        place = "#/policy" if document.kind == "policy" else f"#/{document.kind}s/{document.name}"
        if pointer == place or pointer.startswith(f"{place}/"):
            return _placed(document, "#" + pointer.removeprefix(place), error)
    return f"{pointer}: {error['detail']}" if pointer else str(error["detail"])


def _placed(document: Document, pointer: str, error: dict[str, Any]) -> str:
    line = f":{error['line']}" if error.get("line") else ""
    _, _, tag = pointer.partition("#/locales/")
    path = document.variants.get(tag, document.path)
    step = f" step {error['step']}:" if error.get("step") else ""
    return f"{path}{line}:{step} {error['detail']}"
