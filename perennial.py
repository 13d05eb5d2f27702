"""The console script `perennial`: it refuses an environment in which its modules are not all its own.

The rooms are top-level modules with plain names (`api`, `settings`, `worker`). Beside another package that has one of
these, or below a folder of `PYTHONPATH` that does, one of the two gets the other's.
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
    """What of the rooms is, or may be, somebody else's; each as a sentence."""
    for room in ROOMS:
        found = find_spec(room)
        if found is None or found.origin is None:
            yield f"`{room}` is not there."
            continue
        file = Path(found.origin).resolve()
        home = file.parent.parent if found.submodule_search_locations is not None else file.parent
        if home != HOME:
            yield f"`{room}` is found in {home}."
    if HOME.name in ("site-packages", "dist-packages"):  # whoever is installed last has overwritten the other
        owners = packages_distributions()
        for room in ROOMS:
            others = sorted({*owners.get(room, ())} - {"perennial"})
            if others:
                yield f"`{room}` is in {' and '.join(others)} too."


def main() -> None:
    """Hand over to the command line, or end with what stands in the way."""
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
