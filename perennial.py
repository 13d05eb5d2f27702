"""The console script `perennial`. It refuses to run if some of its modules come from another package.

The project has top-level modules with common names (`api`, `settings`, `worker`). If another package or a folder of
`PYTHONPATH` has a module with the same name, one of the two would import the other's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from importlib.util import find_spec
from pathlib import Path

ROOMS = ("activities", "api", "bench", "cli", "infra", "settings", "store", "tracks", "worker", "workflows")
HOME = Path(__file__).resolve().parent


def clashes() -> Iterator[str]:
    """A sentence for each module that comes, or may come, from another package."""
    for room in ROOMS:
        found = find_spec(room)
        if found is None or found.origin is None:
            yield f"`{room}` is not there."
            continue
        file = Path(found.origin).resolve()
        home = file.parent.parent if found.submodule_search_locations is not None else file.parent
        if home != HOME:
            yield f"`{room}` is found in {home}."
    if HOME.name in ("site-packages", "dist-packages"):  # the package installed last has overwritten the other
        owners = packages_distributions()
        for room in ROOMS:
            others = sorted({*owners.get(room, ())} - {"perennial"})
            if others:
                yield f"`{room}` is in {' and '.join(others)} too."


def main() -> None:
    """Run the command line, or end with the reason why it cannot run."""
    if found := list(clashes()):
        print(
            f"Perennial, in {HOME}, needs an environment of its own: {' '.join(found)} "
            "Install it into a virtual environment or an image in which nothing else has top-level modules named "
            f"{', '.join(ROOMS)}, and leave PYTHONPATH empty.",
            file=sys.stderr,
        )
        raise SystemExit(1)
    from cli.main import main as command_line

    command_line()
