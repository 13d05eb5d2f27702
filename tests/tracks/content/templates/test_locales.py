"""Contacts' locales come in every form. A variant matches, or the template's own language is used."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.content.templates.locales import best, canonical, fallbacks, right_to_left


@pytest.mark.parametrize(
    ("tag", "right"),
    [
        ("de", "de"),
        ("DE-de", "de-DE"),
        ("de_DE.UTF-8", "de-DE"),
        ("de_DE@euro", "de-DE"),
        ("zh-hant-tw", "zh-Hant-TW"),
        ("es-419", "es-419"),
        (" pt_br ", "pt-BR"),
        ("en-x-DE", "en-x-de"),
        ("ckb", "ckb"),
        ("", None),
        (None, None),
        ("english", None),
        ("d", None),
        ("de--DE", None),
        ("C.UTF-8", None),
        ("de;q=0.8", None),
        ("'\"><script>", None),
        ("x" * 5000, None),
    ],
)
def test_a_tag_has_one_spelling(tag: str | None, right: str | None) -> None:
    assert canonical(tag) == right


@pytest.mark.parametrize(
    ("wanted", "available", "found"),
    [
        ("pt-BR", ["pt", "pt-BR"], "pt-BR"),
        ("pt_PT", ["pt", "pt-BR"], "pt"),
        ("pt", ["pt-BR"], None),  # RFC 4647, lookup: never more specific than requested
        ("zh-Hant-TW", ["zh", "zh-Hant"], "zh-Hant"),
        ("de-x-bavarian", ["de"], "de"),
        ("fr", ["de"], None),
        ("nonsense!", ["de"], None),
        (None, ["de"], None),
    ],
)
def test_the_most_specific_variant_that_fits_is_taken(wanted: str | None, available: list[str], found: str) -> None:
    assert best(wanted, available) == found


@given(st.text())
def test_any_text_is_a_tag_or_none_and_a_tag_stays_itself(text: str) -> None:
    tag = canonical(text)
    if tag is not None:
        assert canonical(tag) == tag
        assert next(fallbacks(text)) == tag
        assert tag.isascii()


def test_scripts_decide_the_direction() -> None:
    assert all(right_to_left(tag) for tag in ("ar", "he-IL", "fa", "ur-PK", "az-Arab"))
    assert not any(right_to_left(tag) for tag in ("en", "de-DE", "ar-Latn", "ks-Deva"))
