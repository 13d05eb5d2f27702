"""Languages of contacts and templates: BCP 47 tags from various spellings, and which variant fits a contact."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,5}")
_RIGHT_TO_LEFT = frozenset(("ar", "ckb", "dv", "fa", "he", "iw", "ps", "sd", "ug", "ur", "yi"))
_RIGHT_TO_LEFT_SCRIPTS = frozenset(("Adlm", "Arab", "Hebr", "Nkoo", "Rohg", "Syrc", "Thaa"))


def canonical(tag: str | None) -> str | None:
    """The tag in the form of BCP 47 (`pt_br.UTF-8` becomes `pt-BR`), or None if it is no tag."""
    if not tag or len(tag) > 60:
        return None
    cleaned = re.split(r"[.@]", tag.strip(), maxsplit=1)[0].replace("_", "-")
    if not _TAG.fullmatch(cleaned):
        return None
    language, *rest = cleaned.split("-")
    parts = [language.lower()]
    private = False
    for part in rest:
        if private:
            parts.append(part.lower())
        elif len(part) == 1:
            private = True
            parts.append(part.lower())
        elif len(part) == 4 and part.isalpha():
            parts.append(part.title())
        elif len(part) == 2 and part.isalpha():
            parts.append(part.upper())
        else:
            parts.append(part.lower())
    return "-".join(parts)


def fallbacks(tag: str | None) -> Iterator[str]:
    """The tag and its fallbacks by the lookup of RFC 4647: zh-Hant-TW, zh-Hant, zh."""
    parts = (canonical(tag) or "").split("-")
    while parts and parts[0]:
        yield "-".join(parts)
        parts.pop()
        if len(parts) > 1 and len(parts[-1]) == 1:
            parts.pop()


def best(wanted: str | None, available: Collection[str]) -> str | None:
    """The best of the available tags (as `canonical` writes them) for a contact's locale, or None."""
    return next((tag for tag in fallbacks(wanted) if tag in available), None)


def right_to_left(tag: str) -> bool:
    """Whether text in this language runs from right to left. A script in the tag takes precedence over the language."""
    language, *rest = tag.split("-")
    script = next((part for part in rest if len(part) == 4 and part.isalpha()), None)
    return script in _RIGHT_TO_LEFT_SCRIPTS if script else language in _RIGHT_TO_LEFT
