"""Rewriting links: all links are changed, and no other byte."""

from __future__ import annotations

import re
from html import unescape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracks.content.rendering.link_tracking import Page, find_addresses, target, track_part, track_text

OWN = "https://nurture.test/"
TRACKED = re.compile(r"https://t\.test/c/(\d+)")


def keeps(url: str) -> bool:
    return url.startswith(OWN)


def numbered(urls: list[str]) -> dict[str, str]:
    return {url: f"https://t.test/c/{number}" for number, url in enumerate(urls)}


urls = st.from_regex(r"https?://[a-z]{1,6}\.test(/[a-z0-9?=%&;.,()#é-]{0,10})?", fullmatch=True)
others = st.sampled_from(
    [
        '<a href="mailto:a@b.test">m</a>',
        "<a href='tel:+41'>t</a>",
        '<a href="#top">x</a>',
        "<a name=x>n</a>",
        f'<a href="{OWN}u/tok">Leave</a>',
        '<!--[if mso]><a href="https://hidden.test/">x</a><![endif]-->',
        '<style>a{background:url("https://s.test/")}</style>',
        "<script>'<a href=\"https://j.test/\">'</script>",
        '<img src="https://i.test/x.png" alt=\'<a href="https://alt.test/">\'>',
        '<link href="https://l.test/"><area href="https://m.test/">',
        "<p\n class='x'>Text &amp; é €\r\n<br/>",
    ]
)
anchors = st.builds(
    lambda before, quote, url, after: (f"<a{before}href={quote}{url}{quote}{after}>go</a>", unescape(url)),
    st.sampled_from([" ", "\n", " class='b' ", ' title="a > b" ', " data-x=1 "]),
    st.sampled_from(['"', "'"]),
    urls,
    st.sampled_from(["", ' style="color:red"', " target=_blank", " href='https://second.test/'"]),
)


links = anchors.map(lambda anchor: anchor[0])


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(links, links.map(str.upper), others, st.just("</a <b> < & <a"), st.text(max_size=8)), max_size=8
    ).map("".join)
)
def test_unrewriting_gives_the_original_to_the_byte(html: str) -> None:
    page = Page(html, keeps)
    tracked = page.track(numbered(page.links))
    at, back = 0, []
    for found in TRACKED.finditer(tracked):  # put each target back as the original wrote it
        back.append(tracked[at : found.start()])
        at = found.end()
        here = len("".join(back))
        raw = re.compile(r"[^\"'>]*").match(html, here)
        assert raw is not None and target(raw[0]) == page.links[int(found[1])]
        back.append(raw[0])
    assert "".join(back) + tracked[at:] == html


@settings(max_examples=60)
@given(st.lists(st.one_of(anchors, others.map(lambda other: (other, ""))), max_size=8))
def test_every_web_link_is_tracked_and_nothing_else(parts: list[tuple[str, str]]) -> None:
    page = Page("<body>" + "<hr>".join(html for html, _ in parts) + "</body>", keeps)
    wanted = [url for _, url in parts if url]
    assert page.links == list(dict.fromkeys(wanted))
    assert len(TRACKED.findall(page.track(numbered(page.links)))) == len(wanted)


def test_a_link_marked_off_is_left_alone_and_its_mark_goes() -> None:
    html = '<a class="x" data-track="off" href="https://a.test/">a</a><A HREF=https://b.test/x DATA-TRACK=off>b</A>'
    page = Page(html, keeps)
    assert page.links == []
    assert page.track({}) == '<a class="x" href="https://a.test/">a</a><A HREF=https://b.test/x>b</A>'


def test_the_hidden_link_and_the_picture_stand_at_the_end_of_the_body() -> None:
    page = Page("<html><body><p>Hi &lt;/body&gt;</p></BODY></html>", keeps)
    shown = page.track({}, decoy="https://t.test/c/x?a&b", pixel="https://t.test/o/y")
    assert shown == (
        "<html><body><p>Hi &lt;/body&gt;</p>"
        '<a aria-hidden="true" tabindex="-1" style="display:none" href="https://t.test/c/x?a&amp;b"></a>'
        '<img src="https://t.test/o/y" width="1" height="1" alt="" style="display:block"></BODY></html>'
    )
    assert Page("Hi", keeps).track({}, pixel="p").startswith("Hi<img")


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (" https://a.test/?a=1&amp;b=2 ", "https://a.test/?a=1&b=2"),
        ("HTTPS://A.test", "HTTPS://A.test"),
        ("https://a.test/lo\n ng", "https://a.test/lo ng"),
        ("//a.test/", ""),
        ("javascript:alert(1)//https://a.test", ""),
        ("https://", ""),
        ("https:///x", ""),
        ("", ""),
    ],
)
def test_an_address_is_read_as_a_browser_reads_it(value: str, meant: str) -> None:
    assert target(value) == meant


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("See https://a.test/b?c=d. Or (http://e.test/f)!", ["https://a.test/b?c=d", "http://e.test/f"]),
        ("https://a.test/x_(y) and https://a.test/x_(y)", ["https://a.test/x_(y)"]),
        ("Go: https://a.test, https://b.test/?q=1&r=2#t; “https://c.test”", None),
        (f"Leave: {OWN}u/tok or https:// or ftp://x.test", []),
    ],
)
def test_addresses_in_a_text_end_where_the_sentence_goes_on(text: str, found: list[str] | None) -> None:
    addresses = find_addresses(text, keeps)
    if found is not None:
        assert addresses == found
    tracked = track_text(text, numbered(addresses))
    assert TRACKED.sub(lambda number: addresses[int(number[1])], tracked) == text


@given(st.lists(st.one_of(urls, st.text(max_size=6), st.sampled_from([" ", ". ", "(", ") ", "\n"])), max_size=10))
def test_the_text_of_a_message_is_kept(parts: list[str]) -> None:
    text = "".join(parts)
    found, written = find_addresses(text, keeps), sorted({part for part in parts if part.startswith("http")})
    ways = ((found, track_text(text, numbered(found))), (written, track_part(text, numbered(written))))
    for addresses, tracked in ways:
        back = tracked
        for number, url in enumerate(addresses):
            back = re.sub(rf"https://t\.test/c/{number}(?!\d)", lambda _, url=url: url, back)  # type: ignore[misc]
        assert "t.test" in text or back == text


def test_an_address_with_a_space_leads_whole_from_the_text_part_too() -> None:
    known = numbered(["https://a.test/?to=Ann", "https://a.test/?to=Ann Lee"])
    text = "Pay (https://a.test/?to=Ann Lee). Or https://a.test/?to=Ann Leeds"
    assert track_part(text, known) == "Pay (https://t.test/c/1). Or https://t.test/c/0 Leeds"


def test_an_address_within_another_one_is_left_as_it_is() -> None:
    text = "https://other.test/?to=https://a.test"
    assert track_part(text, numbered(["https://a.test"])) == text


def test_the_text_part_follows_the_html_and_takes_no_part_of_a_longer_address() -> None:
    known = numbered(["https://a.test", "https://a.test/x"])
    text = "Site (https://a.test), x: https://a.test/x. Not https://a.test/xy nor https://a.test?q"
    assert track_part(text, known) == (
        "Site (https://t.test/c/0), x: https://t.test/c/1. Not https://a.test/xy nor https://a.test?q"
    )
