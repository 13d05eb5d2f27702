"""The whole local stack as `./run` starts it, on the test session's PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.launch.stack import TEMPORAL_VARIABLES, Addresses, Stack
from infra.launch.state import State


@contextmanager
def running_stack(folder: Path, database_url: str) -> Iterator[Addresses]:
    """Run the stack until the block ends. `database_url` names a migrated database."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in TEMPORAL_VARIABLES and not name.startswith("PERENNIAL_")
    }
    state = State(folder)
    state.open()
    state.keep_secret("address_secret", "")  # the tests read its database from a process without a secret
    stack = Stack(
        state,
        prepare=lambda _url: None,
        say=lambda _part, _words: None,
        environment=kept | {"DATABASE_URL": database_url},
    )
    try:
        yield stack.start()
        stack.check()
    finally:
        stack.stop()
        state.close()
