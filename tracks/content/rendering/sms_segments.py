"""The segments of a text message, which decide its price, counted as networks do (GSM 03.38, 3GPP TS 23.038)."""

from __future__ import annotations

from typing import Literal, NamedTuple

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_EXTENDED = frozenset("\f^{}\\[~]|€")


class Segments(NamedTuple):
    """The number of segments, their alphabet, and the characters that required the more expensive one."""

    number: int
    encoding: Literal["GSM-7", "UCS-2"]
    costly: str
    """Characters that GSM-7 does not have, each once."""


def segments(text: str) -> Segments:
    """Count the segments of a text message. A character that takes two places is never split between two segments."""
    costly = "".join(dict.fromkeys(mark for mark in text if mark not in _BASIC and mark not in _EXTENDED))
    if costly:
        widths = [2 if ord(mark) > 0xFFFF else 1 for mark in text]
        return Segments(_packed(widths, 70, 67), "UCS-2", costly)
    return Segments(_packed([2 if mark in _EXTENDED else 1 for mark in text], 160, 153), "GSM-7", "")


def _packed(widths: list[int], alone: int, joined: int) -> int:
    if sum(widths) <= alone:
        return 1
    count, left = 1, joined
    for width in widths:
        if width > left:
            count, left = count + 1, joined
        left -= width
    return count
