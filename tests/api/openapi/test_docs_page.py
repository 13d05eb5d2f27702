"""The documentation page loads nothing from other hosts."""

from __future__ import annotations

import re

import httpx


async def test_all_that_the_page_loads_is_served_here(anyone: httpx.AsyncClient) -> None:
    page = await anyone.get("/docs")
    loaded: list[str] = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 3
    for address in loaded:
        assert address == "data:," or (await anyone.get(address)).status_code == 200
    assert "//" not in "".join(loaded)
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_libraries_licences_are_served_with_it(anyone: httpx.AsyncClient) -> None:
    for name in ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"):
        assert (await anyone.get(f"/docs/swagger-ui/{name}")).status_code == 200
