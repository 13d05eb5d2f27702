"""Keep spreadsheets from reading CSV cells as formulas: https://owasp.org/www-community/attacks/CSV_Injection."""

from __future__ import annotations

from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The first characters that a spreadsheet may read as the start of a formula, also in East Asian width."""


def plain_cell(cell: Any) -> Any:
    """The cell; a text that could be a formula gets an apostrophe before it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
