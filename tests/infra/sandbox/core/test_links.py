"""Finding and rewriting links."""

from __future__ import annotations

import html as entities

from hypothesis import given
from hypothesis import strategies as st

from infra.sandbox.core.links import find_links, find_pictures, link_text, one_click_url, track_links

urls = st.from_regex(r"https?://[a-z]{1,8}\.test/[a-z0-9?&=%#/\"'<>]{0,12}x", fullmatch=True)


@given(st.lists(urls, max_size=6), st.sampled_from(['"', "'"]))
def test_every_link_is_found_in_order_and_leads_where_it_is_told(targets: list[str], quote: str) -> None:
    html = "".join(f"<p><a style={quote}x{quote} href={quote}{entities.escape(u)}{quote}>go</a>" for u in targets)
    assert find_links(html, "") == list(dict.fromkeys(targets))
    assert find_links(track_links(html, lambda url: f"https://t.test/?to={targets.index(url)}"), "") == list(
        dict.fromkeys(f"https://t.test/?to={targets.index(u)}" for u in targets)
    )


@given(st.text())
def test_any_text_without_links_survives_rewriting(text: str) -> None:
    assert track_links(text, lambda url: None) == text


@given(st.text())
def test_plain_text_never_becomes_markup(text: str) -> None:
    shown = link_text(text, lambda url: "https://t.test/")
    assert "<script" not in shown.lower()
    assert shown.count("<") == 2 * shown.count("<a ")


def test_comments_mailto_and_untracked_links_are_left_alone() -> None:
    html = (
        '<!--[if mso]><a href="https://a.test/">x</a><![endif]--><a href="mailto:a@b.test">m</a>'
        '<a ses:no-track href="https://b.test/">n</a><area href="https://c.test/">'
    )
    assert find_links(html, "") == []
    assert track_links(html, lambda url: "https://t.test/") == html


def test_the_text_part_counts_where_there_is_no_html() -> None:
    assert find_links("", "See https://a.test/b?c=d. Or (http://e.test/f)!") == [
        "https://a.test/b?c=d",
        "http://e.test/f",
    ]


def test_the_web_address_of_a_list_unsubscribe_header() -> None:
    assert one_click_url("<mailto:leave@a.test>, <https://a.test/u/1>") == "https://a.test/u/1"
    assert one_click_url("<mailto:leave@a.test>") == ""


def test_what_readers_do_not_see_is_no_link_of_theirs_and_pictures_are_found() -> None:
    html = (
        '<a href="https://a.test/">x</a><!--<img src="https://no.test/">--><img alt="" src="https://p.test/o/1?a&amp;b">'
        '<a aria-hidden="true" tabindex="-1" style="display:none" href="https://hidden.test/"></a>'
    )
    assert find_links(html, "") == ["https://a.test/"]
    assert find_pictures(html) == ["https://p.test/o/1?a&b"]
