"""The Temporal dev server of a test session: `python -m tests.support.shared_temporal FOLDER` keeps it.

Each user gets a namespace that nobody else gets. It has its own runs, task queues with their rates, deployments and
search attributes, so it is like a server of one's own.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra.launch.ports import any_free
from infra.launch.temporal import Temporal
from tests.support.shared_server import SharedServer, keep

NAMESPACES = [f"tests-{number}" for number in range(12)]
"""Five processes take two each. One costs the server 35 ms of CPU at its start and 16 ms a minute; a namespace that is
made later can be used only after two seconds (measured)."""


class SharedTemporal:
    """The session's dev server, shared by every test process through files in `folder`."""

    def __init__(self, folder: Path) -> None:
        """Start the server, or use the one that another process has started."""
        self._server = SharedServer(folder, "tests.support.shared_temporal")
        self.address = self._server.told["address"]
        self.ui_url = self._server.told["ui_url"]

    def close(self) -> None:
        """Release the server: this process does not need it any more."""
        self._server.close()

    def own_namespace(self) -> str:
        """A namespace that nobody has used. Raises RuntimeError if there is none left."""
        with self._server.alone(), (self._server.folder / "namespaces.taken").open("a+") as taken:
            taken.seek(0)
            left = NAMESPACES[len(taken.readlines()) :]
            if not left:
                raise RuntimeError("every namespace of the tests' Temporal is taken: make NAMESPACES longer")
            print(left[0], file=taken)
        return left[0]


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """A running server. Yields its `address` and `ui_url`. Raises LaunchError."""
    server = Temporal(
        any_free(),
        log=folder / "temporal.log",
        file=folder / "temporal.db",
        ui_port=any_free(),
        more_namespaces=NAMESPACES,
    )
    address = server.start()
    try:
        yield {"address": address, "ui_url": server.ui_url or ""}
    finally:
        server.stop(grace=0)


if __name__ == "__main__":
    keep(Path(sys.argv[1]), running(Path(sys.argv[1])))
