"""The pages that contacts open, as HTML without scripts, for phones and screen readers: templates and their headers."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

from api.pages.texts.texts import Texts
from tracks.content.brand import Brand

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}


def template(name: str) -> Template:
    """The template of that file in this room, which escapes whatever it is given."""
    return _environment().get_template(name)


@lru_cache(1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("api", "pages"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )


def answer(name: str, texts: Texts, title: str, brand: Brand, *, status: int = 200, **shown: Any) -> HTMLResponse:
    """The page of that template; `shown` are its own variables."""
    logo = urlsplit(brand.logo)
    policy = f"{_POLICY}; img-src {logo.scheme}://{logo.netloc}" if brand.logo else _POLICY
    page = template(name).render(texts=texts, title=title, brand=brand, **shown)
    told = {**HEADERS, "Content-Security-Policy": policy, "Content-Language": texts.language}
    return HTMLResponse(page, status, told)


def unknown(texts: Texts, brand: Brand) -> HTMLResponse:
    """Nobody is known by this link: it was cut off, is not ours, or the person was erased."""
    return answer("unknown.html", texts, texts.unknown, brand, status=404)
