"""The short Liquid texts that stand in a track itself: subjects, SMS texts, notes."""

from __future__ import annotations

from functools import lru_cache

ROOTS = ("contact", "enrollment", "unsubscribe_url")
"""What a text can show, beside its own variables."""


@lru_cache(maxsize=1024)
def _analysed(text: str) -> tuple[str | None, frozenset[str]]:
    from liquid import Environment  # not needed by workflows, which import the track room too
    from liquid.exceptions import LiquidError

    try:
        template = Environment().from_string(text)
        return None, frozenset(str(name) for name in template.analyze(include_partials=False).globals)
    except LiquidError as error:
        return f"is not Liquid: {str(error).splitlines()[0]}", frozenset()


def syntax_problem(text: str) -> str | None:
    """What is wrong with the Liquid of a text, or None."""
    return _analysed(text)[0]


def variables(text: str) -> frozenset[str]:
    """The outermost names that the text shows."""
    return _analysed(text)[1]
