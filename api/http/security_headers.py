"""Security headers of every answer: what a page may load, no guessing of media types, and https only."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALWAYS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]
"""The default. Pages that need more set their own header."""
_SECURE = (b"strict-transport-security", b"max-age=31536000")


class ProtectAnswers:
    """ASGI middleware that adds the security headers that an answer does not set itself."""

    def __init__(self, app: ASGIApp, secure: bool) -> None:
        """`secure` is whether the API is reached by https. RFC 6797 forbids the HTTPS-only header otherwise."""
        self._app = app
        self._wanted = [*_ALWAYS, _SECURE] if secure else _ALWAYS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def protected(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                said = {name.lower() for name, _ in headers}
                headers.extend(header for header in self._wanted if header[0] not in said)
            await send(message)

        await self._app(scope, receive, protected)
