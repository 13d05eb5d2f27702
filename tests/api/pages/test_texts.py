"""The languages of the pages for contacts."""

from __future__ import annotations

import re
from dataclasses import asdict
from typing import Any

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from api.pages.texts.languages import FALLBACK, LANGUAGES, texts_for
from api.pages.texts.texts import Texts, best, wanted


def said(texts: Texts) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in asdict(texts).items():
        parts: dict[str, Any] = value if isinstance(value, dict) else {"": value}
        flat |= {f"{name}.{part}": text for part, text in parts.items() if isinstance(text, str)}
    return flat


def holes(text: str) -> list[str]:
    return sorted(re.findall(r"{\w*}", text))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_with_the_same_holes(language: str) -> None:
    english, other = said(FALLBACK), said(LANGUAGES[language])
    assert english.keys() == other.keys()
    for name, text in other.items():
        assert text.strip() == text and text, name
        assert holes(text) == holes(english[name]), name
    assert LANGUAGES[language].right_to_left == (Locale(language).text_direction == "rtl")


def test_ten_languages_are_spoken() -> None:
    assert set(LANGUAGES) == {"en", "de", "fr", "es", "pt", "it", "nl", "pl", "ja", "ar"}


@pytest.mark.parametrize(
    ("locale", "accepts", "language"),
    [
        ("de-CH", "fr", "de"),
        ("pt_BR", "", "pt"),
        ("ZH-tw", "de", "en"),
        (None, "", "en"),
        (None, "da, en-GB;q=0.8, fr;q=0.9", "fr"),
        (None, "fr;q=0, *;q=0.5, nl;q=nonsense, pl;q=0.1", "pl"),
    ],
)
def test_the_contacts_own_language_comes_before_the_browsers(locale: str | None, accepts: str, language: str) -> None:
    assert texts_for(wanted(locale, accepts)).language == language


@given(st.text(max_size=60))
def test_any_header_gets_a_language(header: str) -> None:
    assert texts_for(wanted(None, header)).language in LANGUAGES


def test_a_name_of_another_region_is_better_than_none() -> None:
    names = {"de-AT": "Neuigkeiten", "fr": "Actualités"}
    assert best(names, ["de-CH"], "News") == "Neuigkeiten"
    assert best(names, ["it", "fr-CA"], "News") == "Actualités"
    assert best(names, ["it"], "News") == "News"
