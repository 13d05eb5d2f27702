"""Verdicts about single requests."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.tracking.bot_requests import Verdict, by_agent, seen
from store.sending.feedback.engagement import Kind

GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
)
BROWSERS = [
    CHROME,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    "Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0",
    "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Linux; Android 9; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0 Mobile Safari/537.36",
]


@pytest.mark.parametrize("agent", BROWSERS)
@pytest.mark.parametrize("kind", ["click", "open"])
def test_a_browser_may_be_a_person(kind: Kind, agent: str) -> None:
    assert by_agent(kind, agent) == Verdict("human")


@pytest.mark.parametrize(
    "agent",
    [
        "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Microsoft Outlook 16.0.10730; ms-office; MSOffice 16)",
        "Outlook-iOS/2.0",
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_6) AppleWebKit/605.1.15 (KHTML, like Gecko)",
    ],
)
def test_a_mail_program_opens_for_a_person(agent: str) -> None:
    assert by_agent("open", agent) == Verdict("human")


@pytest.mark.parametrize(
    ("agent", "opens", "clicks"),
    [
        ("", "scanner", "scanner"),
        ("Mozilla/5.0", "prefetch", "scanner"),
        (GMAIL, "prefetch", "scanner"),
        ("YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "prefetch", "scanner"),
        ("BarracudaCentral/1.0", "scanner", "scanner"),
        ("Mozilla/5.0 (compatible; Mimecast)", "scanner", "scanner"),
        ("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "scanner", "scanner"),
        ("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", "scanner", "scanner"),
        ("WhatsApp/2.23.20.0", "scanner", "scanner"),
        ("Twitterbot/1.0", "scanner", "scanner"),
        ("LinkedInBot/1.0 (compatible; Mozilla/5.0; Apache-HttpClient +http://www.linkedin.com)", "scanner", "scanner"),
        ("TelegramBot (like TwitterBot)", "scanner", "scanner"),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "scanner", "scanner"),
        ("curl/8.5.0", "scanner", "scanner"),
        ("python-requests/2.32.3", "scanner", "scanner"),
        ("Go-http-client/2.0", "scanner", "scanner"),
        ("SomethingNew/1.0", "human", "scanner"),
    ],
)  # fmt: skip
def test_machines_are_known_by_their_names(agent: str, opens: str, clicks: str) -> None:
    assert (by_agent("open", agent).by, by_agent("click", agent).by) == (opens, clicks)


@pytest.mark.parametrize(
    ("method", "headers", "verdict"),
    [
        ("HEAD", {}, Verdict("scanner", "HEAD")),
        ("GET", {"sec-purpose": "prefetch;prerender"}, Verdict("prefetch", "header: sec-purpose")),
        ("GET", {"purpose": "prefetch"}, Verdict("prefetch", "header: purpose")),
        ("GET", {"x-moz": "prefetch"}, Verdict("prefetch", "header: x-moz")),
        ("GET", {}, Verdict("human")),
    ],
)
def test_a_request_says_what_it_is_for(method: str, headers: dict[str, str], verdict: Verdict) -> None:
    assert seen("click", method, {"user-agent": CHROME} | headers) == verdict


@given(st.sampled_from(["click", "open"]), st.text())
def test_any_agent_gets_a_class_and_every_machine_a_reason(kind: Kind, agent: str) -> None:
    verdict = by_agent(kind, agent)
    assert (verdict.why == "") == (verdict.by == "human")
