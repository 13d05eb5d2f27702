"""The page and the email for salespeople speak the languages of the pages for contacts, and say everything in each."""

from __future__ import annotations

import re
from dataclasses import asdict

import pytest

from api.pages.texts.languages import LANGUAGES
from tracks.policy.sales_texts.languages import SALES_FALLBACK, SALES_LANGUAGES
from tracks.policy.sales_texts.texts import SalesTexts


def said(texts: SalesTexts) -> dict[str, str]:
    told = asdict(texts)
    titles = told.pop("titles")
    return told | {f"titles.{status}": title for status, title in titles.items()}


def holes(text: str) -> list[str]:
    return sorted(re.findall(r"{\w*}", text))


def test_they_speak_the_languages_of_the_other_pages() -> None:
    assert SALES_LANGUAGES.keys() == LANGUAGES.keys()


@pytest.mark.parametrize("language", SALES_LANGUAGES)
def test_every_language_says_everything_with_the_same_holes(language: str) -> None:
    english, other = said(SALES_FALLBACK), said(SALES_LANGUAGES[language])
    assert english.keys() == other.keys()
    for name, text in other.items():
        assert text.strip() == text and text, name
        assert holes(text) == holes(english[name]), name
