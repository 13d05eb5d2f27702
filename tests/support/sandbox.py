"""The provider sandbox as a subprocess, for tests with the providers' real clients."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from infra.launch.ports import HOST, any_free
from infra.launch.process import Child
from infra.launch.stack import answers
from infra.sandbox.core.options import TWILIO_TOKEN

ROOT = Path(__file__).parents[2]


@dataclass
class Sandbox:
    """A running sandbox. A test may serve the API on `callback_port` to get callbacks."""

    child: Child
    port: int
    callback_port: int
    twilio_auth_token: str
    data: Path

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def callback_base(self) -> str:
        return f"http://{HOST}:{self.callback_port}"


def start_sandbox(folder: Path, *, port: int | None = None, callback_port: int | None = None) -> Sandbox:
    """Start a sandbox with its data in `folder`, and wait until it answers. Stop it with `.child.stop()`."""
    port, callback_port = port or any_free(), callback_port or any_free()
    token = "sandbox-auth-token"
    command = [sys.executable, "-m", "infra.sandbox", "--port", str(port), "--data", str(folder / "data")]
    command += ["--callback-base", f"http://{HOST}:{callback_port}"]
    child = Child("provider sandbox", command, folder / "sandbox.log", env=os.environ | {TWILIO_TOKEN: token}, cwd=ROOT)
    try:
        child.wait_ready(lambda: answers(f"http://{HOST}:{port}/healthz"), 30)
    except BaseException:
        child.stop()
        raise
    return Sandbox(child, port, callback_port, token, folder / "data")
