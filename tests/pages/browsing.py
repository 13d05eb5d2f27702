"""A browser that records errors and requests of pages."""

from __future__ import annotations

import shutil
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, ViewportSize

HOST = "127.0.0.1"
DESK = ViewportSize(width=1280, height=800)
PHONE = ViewportSize(width=390, height=844)
SMALL_PHONE = ViewportSize(width=320, height=640)
# Chromium without a window calls itself headless, which a person's browser does not.
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    # No other host exists, so that a page that needs one fails visibly.
    f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {HOST}",
]


def find_chromium() -> str:
    """The path of Chromium. Skips the test if there is none."""
    found = shutil.which("chromium")
    if found is None:
        pytest.skip("there is no chromium on the PATH (Debian: apt-get install chromium): the pages are not tested")
    return found


class Visits:
    """The pages that a test opens, each as a new visitor, and their problems.

    `problems` holds errors on pages whose addresses begin with one of `ours`, and every request to another host.
    """

    def __init__(self, browser: Browser, ours: tuple[str, ...]) -> None:
        self._browser = browser
        self._ours = ours
        self._contexts: list[BrowserContext] = []
        self.problems: list[str] = []

    async def open(
        self, url: str, *, size: ViewportSize = DESK, dark: bool = False, javascript: bool = True, **more: Any
    ) -> Page:
        """Open a page as a new visitor. Sizes other than the desktop's are phones with touch."""
        context = await self._browser.new_context(
            viewport=size,
            user_agent=AGENT,
            is_mobile=size != DESK,
            has_touch=size != DESK,
            color_scheme="dark" if dark else "light",
            java_script_enabled=javascript,
            **more,
        )
        context.set_default_timeout(20_000)
        self._contexts.append(context)
        context.on("request", lambda request: self._note_request(request.url))
        context.on("console", self._note_said)
        context.on("weberror", lambda failed: self._note_error("error", str(failed.error), url))
        page = await context.new_page()
        await page.goto(url)
        return page

    async def close(self) -> None:
        """End every visit."""
        for context in self._contexts:
            await context.close()

    def _note_request(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != HOST:
            self.problems.append(f"asked another host: {url}")

    def _note_said(self, said: ConsoleMessage) -> None:
        self._note_error(said.type, said.text, said.location["url"] or (said.page.url if said.page else ""))

    def _note_error(self, kind: str, text: str, url: str) -> None:
        # Chromium itself requests an icon if it shows something that is no page.
        if kind == "error" and url.startswith(self._ours) and not url.endswith("/favicon.ico"):
            self.problems.append(f"{url}: {text}")
