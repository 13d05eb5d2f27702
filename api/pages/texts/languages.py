"""The languages that the pages for contacts speak."""

from __future__ import annotations

from collections.abc import Mapping

from api.pages.texts import ar, de, en, es, fr, it, ja, nl, pl, pt
from api.pages.texts.texts import Texts, best

FALLBACK = en.TEXTS
LANGUAGES: Mapping[str, Texts] = {
    texts.language: texts
    for texts in (
        en.TEXTS,
        de.TEXTS,
        fr.TEXTS,
        es.TEXTS,
        pt.TEXTS,
        it.TEXTS,
        nl.TEXTS,
        pl.TEXTS,
        ja.TEXTS,
        ar.TEXTS,
    )
}


def texts_for(tags: list[str]) -> Texts:
    """The first of these languages that there are texts in; English where there is none."""
    return best(LANGUAGES, tags, FALLBACK)
