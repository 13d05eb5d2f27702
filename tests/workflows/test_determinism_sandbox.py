"""Workers load the workflows once for all runs, so modules must not keep state of a run."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

import workflows

MODULES = sorted(found.name for found in pkgutil.walk_packages(workflows.__path__, "workflows."))


@pytest.mark.parametrize("name", MODULES)
def test_a_workflow_module_keeps_nothing_that_a_run_could_change(name: str) -> None:
    module = importlib.import_module(name)
    kept = {key: value for key, value in vars(module).items() if not key.startswith("__")}
    assert not [key for key, value in kept.items() if isinstance(value, list | dict | set | bytearray)]
