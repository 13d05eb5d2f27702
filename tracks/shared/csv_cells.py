"""Cells of CSV that a spreadsheet takes for no formula: https://owasp.org/www-community/attacks/CSV_Injection."""

from __future__ import annotations

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What a formula may begin with in a spreadsheet, in East Asian width too."""


def plain_cell(cell: Any) -> Any:
    """The cell; a text that could be a formula behind an apostrophe."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
