"""The short Liquid texts in a track itself (SMS texts, notes, payloads), judged as strictly as they are sent."""

from __future__ import annotations

from collections.abc import Iterable

from liquid.exceptions import LiquidError

from tracks.content.check import check_text
from tracks.content.language import compiled


def syntax_problem(text: str) -> str | None:
    """What is wrong with the Liquid of a text, or None."""
    try:
        compiled(text, markup=False)
    except LiquidError as error:
        return f"is not Liquid: {str(error).splitlines()[0]}"
    return None


def problems(text: str, variables: Iterable[str], *, told: bool = False) -> list[str]:
    """All that is wrong with a text that may show the contact, the enrollment and these variables of its own.

    `told` means that contacts read it: what may not be there then needs a `default`.
    """
    if problem := syntax_problem(text):
        return [problem]
    return [problem.message for problem in check_text(text, variables, told=told)]
