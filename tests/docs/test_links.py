"""Every link in Markdown files has a target, and every guide that other files name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.documents import DOCS, PAGES, ROOT, anchors, links, name_of, prose

NOT_OURS = {"node_modules", "build", "__pycache__"}
WITH_TEXT = {".py", ".md", ".html", ".css", ".yaml", ".toml", ".json", ".mjml", ".liquid", ".sh", ".ini", ".mako", ""}
"""Suffixes of text files; the empty one is that of `./run` and similar scripts."""


def _files(folder: Path = ROOT) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name in NOT_OURS or (path.name.startswith(".") and path.name != ".ci"):
            continue
        if path.is_dir():
            yield from _files(path)
        elif path.suffix in WITH_TEXT:
            yield path


FILES = list(_files())
MARKDOWN = [path for path in FILES if path.suffix == ".md"]


def _targets(page: Path) -> Iterator[tuple[str, Path, str]]:
    """The page's links within the project: as written, the file, the fragment."""
    for link in links(page):
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            yield link, (page.parent / unquote(parts.path)).resolve() if parts.path else page, unquote(parts.fragment)


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link, target, fragment in _targets(page):
        assert target.exists(), link
        assert ROOT in target.parents, link
        assert not fragment or fragment in anchors(target), link


@pytest.mark.parametrize("page", MARKDOWN, ids=name_of)
def test_links_are_written_as_the_test_reads_them(page: Path) -> None:
    text = re.sub(r"`[^`\n]+`", "", prose(page))
    assert not re.findall(r"^\[[^\]]+\]:|\]\[|\]\(<|<a\s|<img\s", text, re.MULTILINE)


def test_all_markdown_is_looked_at() -> None:
    assert set(PAGES) <= set(MARKDOWN)


def test_guides_that_files_name_exist() -> None:
    """Code, error sentences, comments and templates name guides by their path from the project's folder."""
    for path in FILES:
        text = path.read_text(encoding="utf-8")
        for name, fragment in re.findall(r"(?<![\w/.-])(docs/[\w/-]+\.(?:md|svg))(?:#([\w-]+))?", text):
            if path.suffix == ".md" and f"]({name}" in text:
                continue  # a link, which is relative to its own page
            assert (ROOT / name).exists(), f"{name_of(path)}: {name}"
            assert not fragment or fragment in anchors(ROOT / name), f"{name_of(path)}: {name}#{fragment}"


def test_every_guide_is_in_the_index() -> None:
    """A folder with an index of its own is named by that; the index names each page beside it, and is named above."""
    index = DOCS / "README.md"
    for page in set(DOCS.rglob("*.md")) - {index}:
        own = page.with_name("README.md")
        above = own if own.exists() and page != own else index
        assert page in {target for _, target, _ in _targets(above)}, name_of(page)
    assert index in {target for _, target, _ in _targets(ROOT / "README.md")}
