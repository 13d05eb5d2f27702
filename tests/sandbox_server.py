"""Start the provider sandbox for tests in a process of its own, and call its control interface."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import httpx

from infra.sandbox.core.options import TWILIO_TOKEN

ROOT = Path(__file__).parents[1]
ACCOUNT_SID = "AC" + "0123456789abcdef" * 2
AUTH_TOKEN = "a-twilio-token-for-tests"


class SandboxServer:
    """A running sandbox. `url` is its base address. Use it as a context manager or call `stop`."""

    def __init__(
        self, data: Path, *, callback_base: str | None = None, port: int = 0, arguments: tuple[str, ...] = ()
    ) -> None:
        command = [sys.executable, "-m", "infra.sandbox", "--port", str(port), "--data", str(data)]
        command += ["--verify-domain", "acme.test", *arguments]
        command += ["--callback-base", callback_base] if callback_base else []
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=os.environ | {TWILIO_TOKEN: AUTH_TOKEN}, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.process.stdout.close()
            raise RuntimeError(f"the sandbox did not start, status {self.process.wait()}")
        self.url = line.split()[-1]
        self.http = httpx.Client(base_url=self.url, timeout=35, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ask it to stop. Pending callbacks stay in its journal."""
        self.process.terminate()
        self._ended()

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self._ended()

    def messages(self, **query: Any) -> list[dict[str, Any]]:
        """Accepted messages, oldest first: `to`, `channel`, `after`, `limit`, `wait` (seconds), `body`."""
        found: list[dict[str, Any]] = self._get("/_control/messages", query)["messages"]
        return found

    def message(self, message_id: str) -> dict[str, Any]:
        """One message with its body."""
        return self._get(f"/_control/messages/{message_id}", {})

    def act(self, message_id: str, action: str, **more: Any) -> dict[str, Any]:
        """Perform an action: open, click, reply, bounce, complain or unsubscribe."""
        return self._post("/_control/actions", {"message": message_id, "action": action, **more})

    def misbehave(self, provider: str, kind: str, **more: Any) -> None:
        """Order a fault: `times`, `seconds`, `retry_after`, `match`, `operation`."""
        self._post("/_control/faults", {"provider": provider, "kind": kind, **more})

    def behave(self) -> None:
        """End all faults."""
        self.http.delete("/_control/faults").raise_for_status()

    def reset(self) -> None:
        """Delete messages, callbacks, suppressions, opt-outs, CRM objects and faults."""
        self.http.post("/_control/reset").raise_for_status()

    def callbacks(self) -> dict[str, Any]:
        """How many callbacks are pending, were delivered and were dropped."""
        return self._get("/_control/callbacks", {})

    def _ended(self) -> None:
        self.http.close()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _get(self, path: str, query: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.http.get(path, params=query).raise_for_status().json()
        return answer

    def _post(self, path: str, data: dict[str, Any]) -> dict[str, Any]:
        response = self.http.post(path, json=data)
        assert response.is_success, response.text
        answer: dict[str, Any] = response.json()
        return answer


def eventually(check: Callable[[], Any], seconds: float = 10) -> Any:
    """Call `check` until it returns a true value or the time is over. Returns its last value."""
    until = time.monotonic() + seconds
    while True:
        value = check()
        if value:
            return value
        assert time.monotonic() < until, f"still {value!r} after {seconds} s"
        time.sleep(0.02)
