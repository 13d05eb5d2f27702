"""The pages of a link that leads nowhere now, and the picture that opens are counted by."""

from __future__ import annotations

from base64 import b64decode
from typing import Literal

from api.pages.rendering import template
from api.pages.texts.languages import FALLBACK
from tracks.content.brand import NO_BRAND, Brand

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7")
_TEXTS = {
    "unknown": (
        "This link does not work",
        "It may have been cut off, or the message it came in is gone. Open the whole link from the message.",
    ),
    "full": (
        "One moment, please",
        "More people are here than we can answer at once. Please try it again in a minute.",
    ),
    "busy": (
        "One moment, please",
        "We cannot look up where this link leads just now. Please try it again in a minute.",
    ),
}


def page(state: Literal["unknown", "busy", "full"], brand: Brand = NO_BRAND) -> str:
    """The whole page as HTML, with who it is from and the way to their website."""
    title, text = _TEXTS[state]
    return template("dead_link.html").render(title=title, text=text, brand=brand, texts=FALLBACK)
