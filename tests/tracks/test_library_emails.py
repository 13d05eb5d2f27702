"""The library's emails are readable: in light and dark mode and with a screen reader. Shared parts are written once."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from tests.tracks.library import FOLDER, MESSAGES, TEMPLATES
from tracks.content.brand import Brand
from tracks.content.checks.template_check import check_template
from tracks.content.markup.markup import attributes, tokens
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.preview import as_message, preview
from tracks.content.rendering.render import render_email, write_sms
from tracks.content.templates.template import Template

EMAILS = {name: template for name, template in MESSAGES.items() if template.kind == "email"}
ENOUGH = 4.5
"""Contrast of a text to its background: level AA of WCAG 2.1, 1.4.3."""
_VOID = ("br", "hr", "img", "meta", "link", "input")
_DARK = re.compile(r"@media \(prefers-color-scheme: dark\) \{(.*?\})\s*\}", re.DOTALL)
_RULE = re.compile(r"([^{}]+)\{([^{}]+)\}")


@dataclass
class Element:
    name: str
    classes: frozenset[str] = frozenset()
    styles: dict[str, str] = field(default_factory=dict)


def context(locale: str = "en", **properties: Any) -> MessageContext:
    items = [{"name": "Lamp", "quantity": 2, "price": "€ 30"}]
    return MessageContext(
        {"id": "c", "locale": locale, "attributes": {"first_name": "Ann", "company": "Pear", **properties}},
        {"id": "e", "properties": {"items": items, "cart_id": "k1"}},
        {"code": "SHIPFREE"} if properties.get("code") else {},
        "https://acme.test/u/t",
    )


def editions() -> list[tuple[str, str, str]]:
    roles = ("engineer", "manager", "")
    return [
        (name, locale or "en", role)
        for name, template in EMAILS.items()
        for locale, _ in template.editions()
        for role in roles
    ]


def styles(text: str) -> dict[str, str]:
    pairs = (part.split(":", 1) for part in text.split(";") if ":" in part)
    return {name.strip(): value.replace("!important", "").strip() for name, value in pairs}


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def matches(selector: str, path: list[Element]) -> bool:
    *around, last = selector.split()

    def simple(part: str, element: Element) -> bool:
        return part[1:] in element.classes if part.startswith(".") else part == element.name

    return simple(last, path[-1]) and all(any(simple(part, one) for one in path[:-1]) for part in around)


def shown(html: str, *, dark: bool) -> list[tuple[str, str, str]]:
    """Each visible text, with its colour and its background colour."""
    rules = [(s.strip(), styles(r)) for part in _DARK.findall(html) for s, r in _RULE.findall(part)] if dark else []
    path: list[Element] = []
    found = []
    for token in tokens(html):
        if token.kind == "text":
            seen = any(one.name == "body" for one in path) and not any(
                one.styles.get("display") == "none" for one in path
            )
            if seen and token.text.strip():
                found.append((token.text.strip(), of(path, "color", "#000000"), of(path, "background", "#ffffff")))
        elif token.kind == "end":
            while path and path.pop().name != token.name:
                pass
        elif token.kind == "start" and token.name not in _VOID:
            given = attributes(token.text)
            own = styles(given.get("style", ""))
            path.append(Element(token.name, frozenset(given.get("class", "").split()), own))
            for selector, rule in rules:
                if matches(selector, path):
                    own.update(rule)
    return found


def of(path: list[Element], what: str, otherwise: str) -> str:
    for one in reversed(path):
        for name in (what, "background-color") if what == "background" else (what,):
            value = re.match(r"#[0-9a-f]{6}", one.styles.get(name, ""), re.IGNORECASE)
            if value is not None and not (name == "background" and "background-color" in one.styles):
                return value[0]
    return otherwise


@pytest.mark.parametrize("dark", [False, True], ids=["day", "night"])
@pytest.mark.parametrize(("name", "locale", "role"), editions())
def test_every_text_stands_out_from_what_it_stands_on(name: str, locale: str, role: str, dark: bool) -> None:
    can_be_read(EMAILS[name], context(locale, role=role, code=True), dark=dark)


@pytest.mark.parametrize("dark", [False, True], ids=["day", "night"])
@pytest.mark.parametrize("color", ["#ffcc00", "#00ffcc", "#0a0a40", "#ffffff", "#000000", "#777777"])
@pytest.mark.parametrize("name", ["trial-welcome", "cart-reminder", "winback-hello"])
def test_every_text_stands_out_in_every_colour_of_a_brand(name: str, color: str, dark: bool) -> None:
    brand = Brand("Pear & Co", color=color)
    html = can_be_read(EMAILS[name], replace(context(code=True), brand=brand), dark=dark)
    assert "Pear &amp; Co" in html and f"background:{color}" in html


def can_be_read(template: Template, given: MessageContext, *, dark: bool) -> str:
    """The page, each text of which stands out from what it stands on."""
    html = render_email(template, given).html
    texts = shown(html, dark=dark)
    assert len(texts) > 5
    for text, color, ground in texts:
        assert contrast(color, ground) >= ENOUGH, f"{text!r}: {color} on {ground}"
    grounds = {ground for _, _, ground in texts}
    assert not dark or not {"#eef1ee", "#f3f7f5", "#eef2fb"} & grounds
    return html


def test_the_layout_shows_logo_and_address() -> None:
    brand = Brand("Pear", logo="https://pear.test/logo.png", address="2 Orchard Lane, Bath")
    html = render_email(EMAILS["trial-welcome"], replace(context(), brand=brand)).html
    assert re.search(r'<img[^>]* alt="Pear"[^>]* src="https://pear.test/logo.png"', html)
    assert "2 Orchard Lane, Bath" in html and "Example Street" not in html


@pytest.mark.parametrize("name", EMAILS)
def test_every_email_has_a_title_a_language_and_says_that_it_knows_the_night(name: str) -> None:
    made = render_email(EMAILS[name], context())
    title = re.search(r"<title>([^<]*)</title>", made.html)
    assert title is not None and title[1] == made.subject.replace("&", "&amp;")
    assert '<meta name="color-scheme" content="light dark">' in made.html
    assert 'lang="en"' in made.html


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_there_in_german_with_the_same_links(name: str) -> None:
    template = MESSAGES[name]
    assert template.locale == "en" and set(template.locales) == {"de"}
    for given in ({}, {"role": "engineer"}, {"industry": "retail", "code": True}):
        if template.kind == "sms":
            made = [write_sms(template, context(locale, **given)).text for locale in ("en", "de_AT")]
        else:
            made = [render_email(template, context(locale, **given)).text for locale in ("en", "de_AT")]
        english, german = made
        assert re.findall(r"https://[^\s)]+", english) == re.findall(r"https://[^\s)]+", german)
        assert not re.search(r"\b(the|you|your|this|Unsubscribe)\b", german)
        assert not re.search(r"\b(Sie|Ihr|und|Abmelden)\b", english)


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_is_sound(name: str) -> None:
    assert check_template(TEMPLATES[name]) == []


def test_what_is_common_to_all_emails_is_written_once() -> None:
    files = {path.name: path.read_text() for path in FOLDER.iterdir()}
    for common in ("1 Example Street", "<mj-attributes>", "prefers-color-scheme", "inner-padding="):
        assert [name for name, text in files.items() if common in text] == [
            "layout-footer.mjml" if common == "1 Example Street" else "layout-head.mjml"
        ]


@pytest.mark.parametrize("name", [name for name, template in TEMPLATES.items() if template.kind == "block"])
def test_a_shared_part_can_be_looked_at_alone(name: str) -> None:
    seen = preview(as_message(TEMPLATES[name]), context())
    assert seen.html.startswith("<!DOCTYPE html>")
    assert name == "layout-head" or {"layout-header": "Acme", "layout-footer": "Example Street"}[name] in seen.text


def test_a_title_of_the_authors_own_stays_and_no_subject_becomes_markup() -> None:
    body = "<mjml>{}<mj-body><mj-section><mj-column><mj-text>x</mj-text></mj-column></mj-section></mj-body></mjml>"
    own = "<mj-head><mj-title>Mine</mj-title></mj-head>"
    template = Template(kind="email", subject="{{ contact.attributes.s }} & {{ contact.id }}", body=body.format(own))
    assert "<title>Mine</title>" in render_email(template, context(s="x")).html
    plain = template.model_copy(update={"body": body.format("")})
    html = render_email(plain, context(s="</title><script>")).html
    assert "<title>&lt;/title&gt;&lt;script&gt; &amp; c</title>" in html
    assert "<title>Of the step</title>" in render_email(plain, context(s="x"), subject="Of the step").html
