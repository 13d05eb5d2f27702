"""Why a message cannot be made from a template."""

from __future__ import annotations


class TemplateError(Exception):
    """A message cannot be made. `code` names the class of the fault and holds nothing of the contact's data."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
