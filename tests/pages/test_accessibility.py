"""The accessibility checks find every fault of a bad page, and none on a good one."""

from __future__ import annotations

import pytest

from infra.launch.stack import Addresses
from tests.pages.accessibility import accessibility_problems
from tests.pages.browsing import PHONE, Visits

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEAD = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>A page</title>'
GOOD = f"""<!doctype html><html lang="en"><head>{HEAD}</head><body><main>
<h1>Good</h1><p style="color: #555">Text with <a href="/">a link</a>.</p>
<label>Name <input style="height: 2rem"></label>
<div><button style="height: 2rem; width: 6rem">Save</button></div>
</main></body></html>"""
FAULTS = {
    "html-has-lang": (' lang="en"', ""),
    "document-title": ("A page", ""),
    "no viewport": ("viewport", "other"),
    "landmark-one-main": ("main>", "div>"),
    "label: <input": ("Name ", ""),
    "button-name: <button": ("Save", ""),
    "not reachable by keyboard: <button": ("<button", '<button tabindex="-1"'),
    "target-size: <button": (
        'style="height: 2rem; width: 6rem">',
        'style="width: 1rem">i</button><button style="width: 1rem">',
    ),
    "image-alt: <img": ("<h1>", '<img src="data:,"><h1>'),
    "color-contrast: <p": ("#555", "#999"),
    "pixels wider than the screen": ("<h1>", '<h1 style="width: 900px">'),
    "beyond the screen's edge": ("<h1>", '<h1 style="width: 900px">'),
}


async def test_a_good_page_has_no_hindrance_and_each_fault_is_found(visits: Visits) -> None:
    page = await visits.open("about:blank", size=PHONE)
    await page.set_content(GOOD)
    assert await accessibility_problems(page) == []
    for fault, (right, wrong) in FAULTS.items():
        await page.set_content(GOOD.replace(right, wrong))
        found = await accessibility_problems(page)
        assert any(fault in one for one in found), (fault, found)


async def test_a_request_to_another_host_and_an_error_are_noticed(stack: Addresses, visits: Visits) -> None:
    page = await visits.open(stack.sandbox)
    await page.add_script_tag(content="new Image().src = 'https://example.org/seen.gif'; console.error('broken')")
    await page.wait_for_timeout(300)
    said = "\n".join(visits.problems)
    visits.problems.clear()
    assert "asked another host: https://example.org/seen.gif" in said
    assert f"{stack.sandbox}/: broken" in said
