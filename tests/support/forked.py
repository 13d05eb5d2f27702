"""Processes of Perennial for tests, forked from one that has imported it: an import takes some seconds of CPU."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path

from bench.installation.fork_server import ForkedChild, ForkServer, await_command

PROJECT = Path(__file__).parents[2]
IMPORTED = ("api.app", "api.audience.segment_upkeep", "cli.main", "uvicorn", "worker")


def fork_server(folder: Path) -> ForkServer:
    """A server that has imported Perennial."""
    return ForkServer([sys.executable, "-u", "-m", "tests.support.forked"], folder / "fork-server.log", PROJECT)


def forked(
    server: ForkServer, name: str, *words: str, log: Path, env: Mapping[str, str], main: str = "cli.main"
) -> ForkedChild:
    """A forked process that runs `main()` of a module; without one, the command line."""
    return ForkedChild(server, name, [main, *words], log, env=env, cwd=PROJECT)


def main() -> None:
    """Import everything, and run a command in each forked process."""
    for name in IMPORTED:
        import_module(name)
    module, *words = await_command(int(sys.argv[-1]))
    sys.argv = [module, *words]
    import_module(module).main()


if __name__ == "__main__":
    main()
