"""The inbox in headless Chromium: it fits, it follows, its links and buttons work."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import SandboxServer, eventually

CHROMIUM = shutil.which("chromium")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed (apt-get install chromium)")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's Chromium."""
    with playwright.sync_playwright() as p:
        browser = p.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)])
def test_every_page_fits_its_screen(
    browser: Any, sandbox: SandboxServer, send: Callable[..., str], twilio: Any, number: str, size: tuple[int, int]
) -> None:
    message_id = send()
    twilio.messages.create(to=number, from_="+15005550006", body="A rather long text " * 20)
    page = browser.new_page(viewport={"width": size[0], "height": size[1]})
    for path in ("/", f"/m/{message_id}", f"/sms/{number}/+15005550006"):
        page.goto(sandbox.url + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], path
    page.close()


def test_a_link_in_the_frame_is_clicked_and_the_page_follows(
    browser: Any, sandbox: SandboxServer, receiver: Receiver, send: Callable[..., str]
) -> None:
    message_id = send()
    context = browser.new_context()
    # Where the link leads is not on this machine.
    context.route("https://acme.test/**", lambda route: route.fulfill(body="arrived"))
    page = context.new_page()
    page.goto(f"{sandbox.url}/m/{message_id}")
    with context.expect_page() as opened:
        page.frame_locator("iframe").get_by_text("Start").click()
    opened.value.wait_for_url("https://acme.test/start?a=1&b=2")
    eventually(lambda: receiver.event_types(message_id)[2:] == ["Open", "Click"])
    page.get_by_text("Clicked").first.wait_for(timeout=10_000)
    context.close()


def test_a_new_message_appears_by_itself(
    browser: Any, sandbox: SandboxServer, send: Callable[..., str], address: str
) -> None:
    page = browser.new_page()
    page.goto(f"{sandbox.url}/?to={address}")
    page.get_by_text("No message fits.").wait_for()
    page.wait_for_timeout(200)
    send()
    page.get_by_text(address).wait_for(timeout=10_000)
    page.close()


def test_a_reply_is_typed_and_appears_in_the_thread(
    browser: Any, sandbox: SandboxServer, twilio: Any, number: str
) -> None:
    twilio.messages.create(to=number, from_="+15005550006", body="Shall we?")
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.goto(sandbox.url)
    page.get_by_text(number).first.click()
    page.get_by_label("Reply").fill("Gladly")
    page.get_by_label("Send").click()
    page.locator(".mine", has_text="Gladly").wait_for()
    page.get_by_label("Back to the list").click()
    page.get_by_text("Gladly").first.wait_for()
    page.close()
