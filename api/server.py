"""The API's web server: told to stop, it answers what it has begun, and the process then ends as one that succeeded."""

from __future__ import annotations

import signal
from types import FrameType

import uvicorn


class Server(uvicorn.Server):
    """uvicorn ends its process by the signal that it was sent, before the process has closed what it holds."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop accepting; a second SIGINT gives up what is still being answered."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True
