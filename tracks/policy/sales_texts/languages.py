"""The languages that the page and the email for salespeople speak: those of the pages for contacts."""

from __future__ import annotations

from collections.abc import Mapping

from tracks.policy.sales_texts import ar, de, en, es, fr, it, ja, nl, pl, pt
from tracks.policy.sales_texts.texts import SalesTexts

SALES_FALLBACK = en.TEXTS
SALES_LANGUAGES: Mapping[str, SalesTexts] = {
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
