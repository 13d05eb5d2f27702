"""Packages import only what the design allows (the contracts are in pyproject.toml)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[1]


def test_no_room_reaches_through_a_wall_and_nothing_goes_in_circles(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0


@pytest.mark.parametrize("name", ["settings.py", "worker.py"])
def test_what_the_command_line_calls_does_not_import_it(name: str) -> None:
    """import-linter checks only packages, not these two modules."""
    imported = {
        ((node.module or "") if isinstance(node, ast.ImportFrom) else one.name).split(".")[0]
        for node in ast.walk(ast.parse((ROOT / name).read_text()))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for one in node.names
    }
    assert "__future__" in imported
    assert not imported & {"bench", "cli", "tests"}
    assert name == "worker.py" or not imported & {"activities", "api", "infra", "store", "tracks", "worker"}
