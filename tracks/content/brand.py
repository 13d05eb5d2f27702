"""The brand that emails and pages show: name, website, logo, address, and one colour in readable shades."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from tracks.content.contrast import BLACK, WHITE, contrast, readable

LIGHT = "#eeeeee"
"""The darkest ground on which a text may stand by day."""
DARK = "#2a323a"
"""The lightest ground on which a text may stand in dark mode."""
DEFAULT_COLOR = "#1f6f54"


@dataclass(frozen=True)
class Brand:
    """Any part may be empty: emails and pages show nothing of it, and take the default colour."""

    name: str = ""
    website: str = ""
    logo: str = ""
    """The address of a picture."""
    address: str = ""
    """Postal address or mailbox; it may have several lines."""
    color: str = ""
    """`#` and six hexadecimal digits."""

    @property
    def lines(self) -> list[str]:
        """Name and address, line by line."""
        return [line for line in (self.name, *self.address.splitlines()) if line]

    @cached_property
    def names(self) -> Mapping[str, str | None]:
        """What templates may show, by its name: `FIELDS`. What is empty is None: in Liquid, an empty text is true."""
        color = self.color or DEFAULT_COLOR
        return {
            "name": self.name or None,
            "website": self.website or None,
            "logo": self.logo or None,
            "address": self.address or None,
            "color": color,
            "text_on_color": max(WHITE, BLACK, key=lambda text: contrast(text, color)),
            "color_on_light": readable(color, LIGHT, toward=BLACK),
            "color_on_dark": readable(color, DARK, toward=WHITE),
        }


NO_BRAND = Brand()
FIELDS = frozenset(NO_BRAND.names)
OPTIONAL_FIELDS = frozenset(("name", "website", "logo", "address"))
"""Those that may be empty."""
