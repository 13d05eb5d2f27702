"""If other modules have the same names, the command refuses and names them. It runs no foreign code."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

import perennial

ROOT = Path(__file__).parents[1]


def run(python: str, *path: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [python, "-c", "import perennial; perennial.main()", "--version"]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)


def test_an_environment_of_its_own_is_fine() -> None:
    assert list(perennial.clashes()) == []
    assert run(sys.executable).stdout.startswith("perennial ")


@pytest.mark.parametrize("name", ["settings.py", "api/__init__.py"])
def test_modules_of_another_project_before_its_own_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("raise AssertionError('this is run')\n")
    told = run(sys.executable, tmp_path)
    assert (told.returncode, told.stdout) == (1, "")
    assert f"`{name.partition('/')[0].removesuffix('.py')}` is found in {tmp_path}." in told.stderr
    assert "Traceback" not in told.stderr


def test_a_package_that_was_installed_over_it_is_named(tmp_path: Path) -> None:
    """Both are in one folder, so its `settings` may belong to either package."""
    venv.create(tmp_path, symlinks=True)
    [packages] = tmp_path.glob("lib/python*/site-packages")
    (packages / "perennial.py").write_text((ROOT / "perennial.py").read_text())
    for room in perennial.ROOMS:
        (packages / f"{room}.py").touch()
    for name, files in (("perennial", perennial.ROOMS), ("acme_shop", ("shop", "settings"))):
        info = packages / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "top_level.txt").write_text("\n".join(files))
    told = run(str(tmp_path / "bin" / "python"))
    assert told.returncode == 1
    assert (
        f"Perennial, in {packages}, needs an environment of its own: `settings` is in acme_shop too. I" in told.stderr
    )
