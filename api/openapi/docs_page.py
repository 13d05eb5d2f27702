"""The page that shows the API to people: Swagger UI, served by this process so that it needs no other host."""

from __future__ import annotations

from pathlib import Path

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from api.openapi.document import PATH

_FILES = "/docs/swagger-ui"
_HEADERS = {
    # The page's own script is inline and Swagger UI's icons are data: URLs. Everything else comes from this host.
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; img-src 'self' data:; "
    "script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}
_DARK = """<script>
const dark = matchMedia("(prefers-color-scheme: dark)")
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches)
dark.addEventListener("change", follow)
follow()
</script>
</head>"""
"""Swagger UI has a dark mode but does not switch it on itself; the page has to."""
_OPTIONS = {"defaultModelsExpandDepth": 0, "displayRequestDuration": True}


def serve(app: FastAPI) -> None:
    """Serve the page at `/docs`."""
    app.mount(_FILES, StaticFiles(directory=Path(__file__).parent / "static" / "swagger-ui"))
    shown = get_swagger_ui_html(
        openapi_url=PATH,
        title=f"{app.title} API",
        swagger_js_url=f"{_FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{_FILES}/swagger-ui.css",
        swagger_favicon_url="data:,",
        swagger_ui_parameters=_OPTIONS,
    )
    page = bytes(shown.body).replace(b"</head>", _DARK.encode(), 1)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        """The page itself."""
        return HTMLResponse(page, headers=_HEADERS)
