"""Which colours can be read on which: the contrast ratio of WCAG 2.1, and readable shades of a colour.

Source: https://www.w3.org/TR/WCAG21/#dfn-contrast-ratio and #dfn-relative-luminance. Colours are `#` and six
hexadecimal digits.
"""

from __future__ import annotations

ENOUGH = 4.5
"""What level AA (1.4.3) asks for between a text and its ground."""
WHITE, BLACK = "#ffffff", "#000000"


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours, from 1 to 21."""
    dark, light = sorted((_luminance(one), _luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def readable(color: str, ground: str, *, toward: str) -> str:
    """The shade of a colour that is nearest to it and readable as text on that ground.

    It is mixed with black or white (`toward`) in steps of a twentieth until the contrast is `ENOUGH`.
    """
    mixed = (_mix(color, toward, step / 20) for step in range(21))
    return next((shade for shade in mixed if contrast(shade, ground) >= ENOUGH), toward)


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)


def _mix(color: str, other: str, share: float) -> str:
    pairs = zip(_channels(color), _channels(other), strict=True)
    return "#" + "".join(f"{round(own + (its - own) * share):02x}" for own, its in pairs)


def _luminance(color: str) -> float:
    parts = (channel / 255 for channel in _channels(color))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
