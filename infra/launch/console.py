"""Show a start: one line for each part, updated live on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.status import Status


class Progress:
    """Shows parts that start: `say(part, "starting")`, then `say(part, address)`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._began: dict[str, float] = {}
        self._status: Status | None = None

    def say(self, part: str, words: str) -> None:
        """Show that a part is starting, or its address once it is up."""
        if words == "starting":
            self._began.setdefault(part, time.monotonic())
            self._show()
            return
        took = time.monotonic() - self._began.pop(part, time.monotonic())
        self.console.print(f"  [green]✓[/] {part:<17} {words}  [dim]{took:.1f} s[/]", highlight=False)
        self._show()

    def close(self) -> None:
        """Remove the live line."""
        if self._status is not None:
            self._status.stop()
            self._status = None

    def _show(self) -> None:
        if not self.console.is_terminal:
            return
        if not self._began:
            self.close()
            return
        words = "Starting " + ", ".join(self._began)
        if self._status is None:
            self._status = self.console.status(words)
            self._status.start()
        else:
            self._status.update(words)
