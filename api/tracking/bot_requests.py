"""Detect machines that fetch links and pictures, from a single request.

Every agent is listed with the source of its name. Many scanners claim to be a browser, so `api.tracking.bot_bursts`
also looks at the time and number of fetches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from store.sending.feedback.engagement import Kind
from tracks.runs.bot_engagement import By


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who made a touch, and the reason for this judgement. A person's touch needs no reason."""

    by: By
    why: str = ""


# Pictures loaded in advance or through a proxy: nobody can tell whether a person looked at them.
_EXACT_PREFETCH = {
    # Apple Mail Privacy Protection: https://github.com/ua-parser/uap-core/issues/509
    "mozilla/5.0": "Apple Mail Privacy Protection",
    # Gmail, in advance during an open session: https://bird.com/zh-sg/blog/gmail-prefetching-images
    "mozilla/5.0 (windows nt 10.0; win64; x64) applewebkit/537.36 (khtml, like gecko) "
    "chrome/42.0.2311.135 safari/537.36 edge/12.246 mozilla/5.0": "Gmail prefetch",
}
_PREFETCH = {
    # https://www.scientiamobile.com/what-is-google-image-proxy/
    "googleimageproxy": "GoogleImageProxy",
    "ggpht.com": "GoogleImageProxy",
    # https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html
    "yahoomailproxy": "YahooMailProxy",
}
_SCANNERS = {
    # Mail security products, by the names that they use, see
    # https://check.live-direct-marketing.online/blog/bot-clicks-security-scanners-detect
    # https://wordtothewise.com/2013/07/barracuda-filters-clicking-all-links/
    # https://campus.barracuda.com/product/sentinel/doc/498468311/unwanted-link-clicks
    "barracuda": "Barracuda",
    "proofpoint": "Proofpoint",
    "mimecast": "Mimecast",
    "safelinks": "Microsoft SafeLinks",
    "ciscosecureemail": "Cisco Secure Email",
    "ironport": "Cisco IronPort",
    "trendmicro": "Trend Micro",
    "trend micro": "Trend Micro",
    "symantec": "Symantec",
    "messagelabs": "Symantec",
    "forcepoint": "Forcepoint",
    "fireeye": "FireEye",
    "fortimail": "FortiMail",
    "fortigate": "FortiGate",
    "sophos": "Sophos",
    "mcafee": "McAfee",
    "zscaler": "Zscaler",
    "virustotal": "VirusTotal",
    "urlscan": "urlscan.io",
    # Previews of links: https://gist.github.com/robozevel/4a620fb7e8f3be7b84fb4aa93ea048ca
    "bingpreview": "BingPreview",
    "skypeuripreview": "SkypeUriPreview",
    "google web preview": "Google Web Preview",
    "yahoo link preview": "Yahoo Link Preview",
    "pinterest": "Pinterest",
    "slack-imgproxy": "Slack",  # https://api.slack.com/robots
    "slackbot": "Slackbot",  # https://api.slack.com/robots
    # https://developers.facebook.com/docs/sharing/webmasters/web-crawlers
    "facebookexternalhit": "facebookexternalhit",
    "facebot": "Facebot",
    "meta-externalagent": "Meta",
    "whatsapp": "WhatsApp",  # https://developers.facebook.com/docs/whatsapp/link-previews
    "twitterbot": "Twitterbot",  # https://developer.x.com/en/docs/x-for-websites/cards/guides/getting-started
    "google-read-aloud": "Google",  # https://developers.google.com/search/docs/crawling-indexing/google-user-triggered-fetchers
    "mediapartners-google": "Google",
    "google-safety": "Google",
    # Programs: the default agents of HTTP libraries.
    "headlesschrome": "headless browser",
    "phantomjs": "headless browser",
    "puppeteer": "headless browser",
    "python": "Python",
    "curl/": "curl",
    "wget/": "wget",
    "okhttp": "okhttp",
    "java/": "Java",
    "go-http-client": "Go",
    "libwww": "libwww",
    "httpclient": "HttpClient",
    "node-fetch": "Node",
    "axios/": "axios",
    "scrapy": "Scrapy",
    # Crawlers have such names: Googlebot, bingbot, LinkedInBot, TelegramBot, Discordbot, …
    "bot/": "a bot",
    "bot;": "a bot",
    "bot ": "a bot",
    "bot)": "a bot",
    "crawler": "a crawler",
    "spider": "a crawler",
    "scanner": "a scanner",
}
_BROWSERS = ("mozilla/", "opera/")
"""How every browser's agent begins (MDN, `User-Agent`). Mail programs that load pictures have other names."""


def seen(kind: Kind, method: str, headers: Mapping[str, str]) -> Verdict:
    """Judge one request by its method, purpose and agent. The names in `headers` are lower case."""
    if method == "HEAD":
        return Verdict("scanner", "HEAD")
    for name in ("sec-purpose", "purpose", "x-purpose", "x-moz"):
        if any(word in headers.get(name, "").lower() for word in ("prefetch", "prerender", "preview")):
            return Verdict("prefetch", f"header: {name}")
    return by_agent(kind, headers.get("user-agent", ""))


def by_agent(kind: Kind, agent: str) -> Verdict:
    """Judge a user agent: it may be missing, a known machine, or possibly a person's program."""
    name = " ".join(agent.lower().split()).replace("cubot", "")  # Cubot makes telephones
    if not name:
        return Verdict("scanner", "agent: none")
    if found := _EXACT_PREFETCH.get(name) or _find(_PREFETCH, name):
        # a picture proxy that follows a link scans it
        return Verdict("prefetch" if kind == "open" else "scanner", f"agent: {found}")
    if found := _find(_SCANNERS, name + ")"):
        return Verdict("scanner", f"agent: {found}")
    if kind == "click" and not name.startswith(_BROWSERS):
        return Verdict("scanner", "agent: no browser")
    return Verdict("human")


def _find(known: Mapping[str, str], agent: str) -> str | None:
    return next((name for part, name in known.items() if part in agent), None)
