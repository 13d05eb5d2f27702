"""SMS segments are counted as networks count them."""

from __future__ import annotations

import pytest

from tracks.content.rendering.sms_segments import segments


@pytest.mark.parametrize(
    ("text", "number", "encoding"),
    [
        ("a" * 160, 1, "GSM-7"),
        ("a" * 161, 2, "GSM-7"),
        ("a" * 306, 2, "GSM-7"),
        ("a" * 307, 3, "GSM-7"),
        ("€" * 80, 1, "GSM-7"),
        ("€" * 81, 2, "GSM-7"),
        ("€" * 153, 3, "GSM-7"),  # 153 places hold 76 of them: none is split
        ("ü" * 160, 1, "GSM-7"),
        ("ş" * 70, 1, "UCS-2"),
        ("ş" * 71, 2, "UCS-2"),
        ("ş" * 134, 2, "UCS-2"),
        ("😀" * 35, 1, "UCS-2"),
        ("😀" * 36, 2, "UCS-2"),
        ("😀" * 67, 3, "UCS-2"),
    ],
)
def test_segments(text: str, number: int, encoding: str) -> None:
    assert segments(text)[:2] == (number, encoding)


def test_what_makes_it_dear_is_named_once() -> None:
    assert segments("Żółty i żaba").costly == "Żółż"
