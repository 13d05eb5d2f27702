"""The brand in messages: shown where it is set, readable in every colour, and never in the way of older templates."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tracks.test_library_emails import contrast as measured
from tracks.content.brand import DARK, DEFAULT_COLOR, LIGHT, NO_BRAND, Brand
from tracks.content.checks.template_check import check_template, check_text
from tracks.content.contrast import BLACK, ENOUGH, WHITE, contrast
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.render import render_email, render_sms
from tracks.content.templates.template import Template, TemplateVariable

COLORS = st.integers(0, 0xFFFFFF).map(lambda number: f"#{number:06x}")
ACME = Brand("Acme & Sons", "https://acme.test", "https://acme.test/logo.png", "1 Example Street\nLondon", "#ffcc00")
BODY = (
    "<mjml><mj-body><mj-section><mj-column>{}<mj-text>"
    '{{{{ brand.name | default: "We" }}}} <a href="{{{{ unsubscribe_url }}}}">x</a>'
    "</mj-text></mj-column></mj-section></mj-body></mjml>"
)


def context(shown: Brand = NO_BRAND, **variables: str) -> MessageContext:
    return MessageContext(
        {"id": "c", "attributes": {}}, {"id": "e", "properties": {}}, variables, "https://acme.test/u", brand=shown
    )


def email(part: str = "", **variables: TemplateVariable) -> Template:
    return Template(kind="email", subject="Hello", body=BODY.format(part), variables=variables)


@given(COLORS, COLORS)
def test_contrast_is_what_another_reading_of_the_standard_says(one: str, other: str) -> None:
    assert contrast(one, other) == pytest.approx(measured(one, other))
    assert contrast(one, other) == contrast(other, one)


@pytest.mark.parametrize(("gray", "ratio"), [("#000000", 21.0), ("#767676", 4.54), ("#777777", 4.48), ("#ffffff", 1)])
def test_contrast_to_white_is_as_published(gray: str, ratio: float) -> None:
    assert contrast(gray, WHITE) == pytest.approx(ratio, abs=0.005)


@given(COLORS)
def test_every_colour_has_shades_that_can_be_read(color: str) -> None:
    names = Brand(color=color).names
    for ground in (LIGHT, "#eef1ee", "#f3f7f5", WHITE):
        assert measured(str(names["color_on_light"]), ground) >= ENOUGH
    for ground in (DARK, "#1f252b", "#14181c", BLACK):
        assert measured(str(names["color_on_dark"]), ground) >= ENOUGH
    assert measured(str(names["text_on_color"]), color) >= ENOUGH
    assert names["color"] == color


@given(COLORS)
def test_a_colour_that_can_be_read_stays_as_it_is(color: str) -> None:
    names = Brand(color=color).names
    assert (names["color_on_light"] == color) == (measured(color, LIGHT) >= ENOUGH)
    assert (names["color_on_dark"] == color) == (measured(color, DARK) >= ENOUGH)


def test_messages_show_it_escaped_and_do_without_it() -> None:
    assert "Acme &amp; Sons <a" in render_email(email(), context(ACME)).html
    assert "We <a" in render_email(email(), context()).html
    sms = Template(kind="sms", body='{{ brand.name | default: "We" }} {{ brand.color }}')
    assert render_sms(sms, context(ACME)) == "Acme & Sons #ffcc00"
    assert render_sms(sms, context()) == f"We {DEFAULT_COLOR}"


def test_what_is_not_set_is_false_in_an_if() -> None:
    logo = email('{% if brand.logo %}<mj-image src="{{ brand.logo }}" alt="" />{% endif %}')
    assert 'src="https://acme.test/logo.png"' in render_email(logo, context(ACME)).html
    assert "<img" not in render_email(logo, context()).html
    assert check_template(logo) == []


@pytest.mark.parametrize("field", ["name", "website", "logo", "address"])
def test_a_text_says_what_stands_there_without_it(field: str) -> None:
    (problem,) = check_template(email(f"<mj-text>{{{{ brand.{field} }}}}</mj-text>"))
    assert f"`brand.{field}` may be missing" in problem.message
    assert check_template(email("<mj-text>{{ brand.color_on_light }}</mj-text>")) == []


def test_a_misspelt_part_is_told_with_the_right_one() -> None:
    (problem,) = check_template(email('<mj-text>{{ brand.colour | default: "x" }}</mj-text>'))
    assert "`brand.colour` does not exist; did you mean 'color'?" in problem.message


def test_it_is_in_messages_only() -> None:
    (problem,) = check_text("{{ brand.name }}", links=False)
    assert "unknown variable 'brand'" in problem.message


@pytest.mark.parametrize("given_by_step", [{}, {"brand": "Ours"}])
def test_a_template_with_a_variable_of_that_name_keeps_its_own(given_by_step: dict[str, str]) -> None:
    """Versions that were published before there was a brand say what they always said."""
    older = Template(kind="sms", body="{{ brand }}: hello", variables={"brand": TemplateVariable(default="Store")})
    assert check_template(older) == []
    assert render_sms(older, context(ACME, **given_by_step)) == f"{given_by_step.get('brand', 'Store')}: hello"
