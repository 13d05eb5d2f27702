"""The documentation page loads nothing from other hosts."""

from __future__ import annotations

import re

import httpx


async def test_all_that_the_page_loads_is_served_here(anonymous: httpx.AsyncClient) -> None:
    page = await anonymous.get("/docs")
    loaded: list[str] = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(loaded) == 3
    for address in loaded:
        assert address == "data:," or (await anonymous.get(address)).status_code == 200
    assert "//" not in "".join(loaded)
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_the_libraries_licences_are_served_with_it(anonymous: httpx.AsyncClient) -> None:
    for name in ("LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"):
        assert (await anonymous.get(f"/docs/swagger-ui/{name}")).status_code == 200
