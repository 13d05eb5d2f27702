"""Links lead only to pages, mailboxes and phones, with any data, and are parsed as a browser parses them."""

from __future__ import annotations

import re
import time
from html import unescape
from typing import Any

import pytest
from css_inline import CSSInliner
from hypothesis import given
from hypothesis import strategies as st

from tracks.content.checks.template_check import check_template
from tracks.content.markup.hrefs import ALLOWED, refused_schemes, scheme_of, without_links
from tracks.content.markup.markup import unescape_attribute
from tracks.content.rendering.link_tracking import MAX_ADDRESS, Page, find_addresses, track_part
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.plain_text import plain_text
from tracks.content.rendering.preview import preview
from tracks.content.rendering.render import render_email
from tracks.content.rendering.rendered_messages import RenderedEmail
from tracks.content.templates.template import Template, TemplateVariable

RUNS = (
    "javascript:alert(1)", "JavaScript:alert(1)", " javascript:alert(1)", "\x01javascript:alert(1)",
    "&#106;avascript:alert(1)", "data:text/html,<script>", "vbscript:x", "file:///etc/passwd", "jar:http://x",
    "blob:x", "ms-word:ofe|u|x",
)  # fmt: skip
LEADS = (
    "https://a.test/?q=1", "http://a.test", "mailto:a@b.test", "tel:+4144", "sms:+4144", "#top", "/path", "?q=a:b", "",
    "HTTPS://a.test", "//a.test/x:y", "path/to:x",
)  # fmt: skip
PLACES = (
    '<mj-text>before <a class="x" href="{{ contact.attributes.url }}">here</a> after</mj-text>',
    "<mj-button href=\"{{ contact.attributes.url | append: '' }}\">here</mj-button>",
    '<mj-image src="https://i.test/x.png" alt="here" href="{{ contact.attributes.url }}" />',
    '<mj-navbar><mj-navbar-link href="{{ contact.attributes.url }}">here</mj-navbar-link></mj-navbar>',
    '<mj-raw><form action="{{ contact.attributes.url }}"><button>here</button></form></mj-raw>',
)


def email(content: str, **fields: Any) -> Template:
    body = f"<mjml>\n<mj-body><mj-section><mj-column>\n{content}\n</mj-column></mj-section></mj-body></mjml>"
    return Template(kind="email", subject="Hello", body=body, body_line=5, **fields)


def rendered(content: str, **attributes: Any) -> RenderedEmail:
    context = MessageContext({"id": "c", "attributes": attributes}, {"id": "e", "properties": {}})
    return render_email(email(content), context)


def hrefs(html: str) -> list[str]:
    return [unescape(value) for value in re.findall(r'(?:href|action)="([^"]*)"', html)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("url", RUNS)
def test_data_does_not_lead_to_what_runs(url: str, place: str) -> None:
    made = rendered(place, url=unescape(url))
    assert hrefs(made.html) == []
    assert "alert" not in made.text and "script" not in made.text
    assert "here" in made.text and made.choices.left_out == (scheme_of(unescape(url)),)
    assert re.sub(r"\s", "", unescape(url))[-8:] not in made.html


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("url", LEADS)
def test_a_link_that_leads_somewhere_stays(url: str, place: str) -> None:
    made = rendered(place, url=url)
    assert [href for href in hrefs(made.html) if href] == ([url] if url else [])
    assert made.choices.left_out == ()


@given(st.text(max_size=12), st.sampled_from(RUNS))
def test_no_letters_around_it_hide_a_scheme(around: str, url: str) -> None:
    made = rendered(PLACES[0], url=around + url)
    for href in hrefs(made.html):
        assert re.match(r"[\x00-\x20]*[a-z][a-z0-9+.\-]*:", href, re.IGNORECASE) is None or scheme_of(href) in ALLOWED


@pytest.mark.parametrize(
    "url",
    [
        "java\nscript:x",
        "java\tscript:x",
        "\r\njavascript:x",
        "\xa0javascript:x",
        "&#9;javascript:x",
        "javascript&colon;x",
        " " * 3000 + "javascript:x",
    ],
)
def test_a_scheme_is_found_as_browsers_find_it(url: str) -> None:
    page = f'<a class=x href="{url}" id=y>here</a>'
    assert refused_schemes(page) == ["javascript"]
    assert without_links(page, ["javascript"]) == "<a class=x  id=y>here</a>"


def test_a_link_that_is_left_out_is_told_in_the_preview() -> None:
    context = MessageContext({"id": "c", "attributes": {"url": "javascript:x"}}, {"id": "e", "properties": {}})
    assert any("`javascript:` is left out" in warning for warning in preview(email(PLACES[0]), context).warnings)


@pytest.mark.parametrize("url", [*RUNS[:3], "ftp://a.test", "webcal://a.test"])
def test_a_link_that_the_template_writes_is_refused_at_publishing(url: str) -> None:
    (problem,) = check_template(email(f'<mj-text><a href="{url}">x</a></mj-text>'))
    assert "it can lead to http, https, mailto, tel or sms" in problem.message
    assert problem.line == 7
    default = {"url": TemplateVariable(default=url)}
    (problem,) = check_template(email('<mj-text><a href="{{ url }}">x</a></mj-text>', variables=default))
    assert "a link leads to" in problem.message


def test_a_template_that_was_published_with_another_harmless_scheme_keeps_its_link() -> None:
    content = '<mj-text><a href="webcal://a.test/x">x</a> <a href="{{ contact.attributes.url }}">y</a></mj-text>'
    assert hrefs(rendered(content, url="javascript:x").html) == ["webcal://a.test/x"]
    assert hrefs(rendered('<mj-text><a href="javascript:x">y</a></mj-text>').html) == []


QUERY = "https://shop.acme.test/pay?plan=team&currency=EUR&region=eu&section=2&notify=1"


def test_an_address_written_with_bare_ampersands_is_the_same_in_html_and_text() -> None:
    made = rendered(f'<mj-button href="{QUERY}">Pay</mj-button>')
    assert made.text == f"Pay: {QUERY}\n"
    links = Page(made.html, lambda url: False).links
    assert links == [QUERY]
    assert track_part(made.text, {QUERY: "https://t.test/1"}) == "Pay: https://t.test/1\n"


NAMES = st.sampled_from((
    "copy", "timestamp", "param", "lt", "gte", "quote", "deg", "micro", "notebook", "amp", "currency", "reg", "region",
    "section", "para", "not", "x", "nbsp", "#38", "#x26", "amp;", "lt;", "#38;", "copy;", "eacute", "yen;x",
))  # fmt: skip


AFTER = st.sampled_from(("=1", "", "=", ";", " ", "&", "-", ".", "é"))


@given(st.lists(st.tuples(NAMES, AFTER), min_size=1, max_size=4))
def test_an_attribute_is_read_as_by_a_parser_of_html_5(parts: list[tuple[str, str]]) -> None:
    value = "https://a.test/?q=1" + "".join(f"&{name}{after}" for name, after in parts)
    serialized = CSSInliner(load_remote_stylesheets=False).inline(f'<a href="{value}">x</a>')
    found = re.search(r'<a href="([^"]*)"', serialized)
    assert found is not None
    assert unescape_attribute(value) == unescape(found[1])


MANY = {"https://a" + end * length: "x" for length in range(500) for end in ("a", ")", " https://a", "https://")}
HOSTILE = ("<a ", "<a", "<", '<a href="', "<!--", "<![", "<script>", "<xmp><a \"", "a=", "href=", "&a", "https://a)",
           "(https://a", "https://", "https://a ", ")", " ", "<mjml ", "</a", "javascript:")  # fmt: skip


@pytest.mark.parametrize("before", ["", "https://a", "<a "])
@pytest.mark.parametrize("part", HOSTILE)
def test_links_are_found_in_time_in_proportion_to_the_text(part: str, before: str) -> None:
    text = before + part * (150_000 // len(part))
    began = time.process_time()
    Page(text, lambda url: False).track({})
    find_addresses(text, lambda url: False)
    plain_text(text)
    track_part(text, MANY)
    assert time.process_time() - began < 4


def test_an_address_too_long_to_be_one_is_left_as_it_is() -> None:
    longest = "https://a.test/" + "x" * (MAX_ADDRESS - 15)
    assert find_addresses(f"{longest} {longest}x", lambda url: False) == [longest]
