"""The project's pages as data: code blocks, links, headings, and `curl` commands as requests."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE, OPERATIONS, DESIGN = DOCS / "reference", DOCS / "operations", DOCS / "design"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


def name_of(page: Path) -> str:
    """The page's path in the project, used as the name of a test."""
    return page.relative_to(ROOT).as_posix()


@dataclass(frozen=True)
class Block:
    """A fenced code block: the words on the fence's line (the language first), and the text."""

    page: str
    line: int
    kind: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path, *kinds: str) -> list[Block]:
    """The page's code blocks of these kinds (all of them if none is named), in order."""
    text = page.read_text(encoding="utf-8")
    found = [
        Block(name_of(page), text.count("\n", 0, match.start()) + 1, match[1].strip(), match[2])
        for match in re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    ]
    return [block for block in found if not kinds or block.kind in kinds]


def prose(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def links(page: Path) -> list[str]:
    """Every link's target."""
    return re.findall(r"\]\(([^)\s]+)\)", prose(page))


def pages_of(folder: Path) -> list[Path]:
    """The index of a folder, then its pages in the order in which the index first names them."""
    index = folder / "README.md"
    beside = [folder / target for link in links(index) if "/" not in (target := link.partition("#")[0]) and target]
    listed = list(dict.fromkeys(beside))
    assert set(listed) == set(folder.glob("*.md")) - {index}, f"{name_of(index)} does not name every page beside it"
    return [index, *listed]


def anchors(page: Path) -> set[str]:
    """The valid fragments of links: GitHub's anchors of the headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE):
        anchor = re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
        assert anchor not in found, f"{page.name} has two headings #{anchor}"
        found.add(anchor)
    return found


def commands(block: Block) -> Iterator[list[str]]:
    """A shell block's commands as words, `$NAME` left as it is."""
    kept = ""
    for line in block.text.splitlines():
        kept += line
        if kept.endswith("\\"):
            kept = kept[:-1]
            continue
        try:
            words = shlex.split(kept, comments=True)
        except ValueError:  # a quote that continues on the next line
            kept += "\n"
            continue
        kept = ""
        if words:
            yield words
    assert not kept, f"{block}: a quote is left open"


@dataclass(frozen=True)
class Request:
    """The request of a `curl` command."""

    method: str
    url: str
    headers: dict[str, str]
    auth: tuple[str, str] | None = None
    content: bytes | None = None


def curl(command: list[str], variables: Mapping[str, str]) -> Request:
    """Parse a `curl` command. Options that the pages do not use are refused."""
    words = [Template(word).safe_substitute(variables) for word in command[1:]]
    url, method, headers, auth, content = "", "", {}, None, None
    while words:
        match words.pop(0):
            case "-X":
                method = words.pop(0)
            case "-H":
                name, _, value = words.pop(0).partition(":")
                headers[name] = value.strip()
            case "-u":
                user, _, password = words.pop(0).partition(":")
                auth = (user, password)
            case "-d" | "--data-binary":
                data = words.pop(0)
                content = (ROOT / data[1:]).read_bytes() if data.startswith("@") else data.encode()
                headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            case option if option.startswith("-"):
                raise ValueError(f"curl {option}")
            case address:
                assert not url, f"two addresses: {url} {address}"
                url = address
    return Request(method or ("GET" if content is None else "POST"), url, headers, auth, content)


_SHAPES = (
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    r"[0-9a-f]{64}",
)
"""Ids, times and digests. Their values differ between an example and an answer."""


def differs(shown: Any, answered: Any, place: str = "") -> str:
    """Where an answer differs from the example, or empty. `…` stands for anything, also for more names and items."""
    if shown == "…":
        return ""
    if isinstance(shown, dict) and isinstance(answered, dict):
        more = "…" in shown
        names = shown.keys() - {"…"}
        if names - answered.keys() or (answered.keys() - names and not more):
            return f"{place or '/'}: names {sorted(answered)}"
        return next((found for n in names if (found := differs(shown[n], answered[n], f"{place}/{n}"))), "")
    if isinstance(shown, list) and isinstance(answered, list):
        items = [item for item in shown if item != "…"]
        if len(answered) < len(items) or (len(answered) > len(items) and len(items) == len(shown)):
            return f"{place or '/'}: {len(answered)} items"
        pairs = enumerate(zip(items, answered, strict=False))
        return next((found for n, (a, b) in pairs if (found := differs(a, b, f"{place}/{n}"))), "")
    texts = isinstance(shown, str) and isinstance(answered, str)
    if texts and any(re.fullmatch(shape, shown) and re.fullmatch(shape, answered) for shape in _SHAPES):
        return ""
    return "" if (shown, type(shown)) == (answered, type(answered)) else f"{place or '/'}: {answered!r}"


TRACK_PAGES, API_PAGES = pages_of(REFERENCE / "tracks"), pages_of(REFERENCE / "api")
