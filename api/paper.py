"""The frame of every page that contacts open: plain HTML without scripts, for phones and screen readers."""

from __future__ import annotations

from html import escape

from fastapi.responses import HTMLResponse

from api.preference_texts.texts import Texts
from api.sender import Sender

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
_STYLE = """
:root { color-scheme: light dark; --ground: #f6f5f2; --card: #fff; --ink: #1d2521; --soft: #5c6862; --line: #d9ddd8;
  --leaf: #2f6b4a; --on-leaf: #fff; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #141917; --card: #1d2421; --ink: #eef2ef; --soft: #a3b0a9; --line: #38433d; --leaf: #5fb085;
    --on-leaf: #0d1512; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem 1rem;
  background: var(--ground); color: var(--ink); font: 1.0625rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
main { width: 100%; max-width: 30rem; padding: 2rem 1.5rem; background: var(--card); border-radius: 14px;
  box-shadow: 0 1px 2px rgb(0 0 0 / 8%), 0 10px 30px rgb(0 0 0 / 6%); }
h1 { margin: 0 0 .5rem; font-size: 1.375rem; line-height: 1.25; letter-spacing: -.01em; }
h2 { margin: 0; font-size: 1.0625rem; line-height: 1.3; }
p { margin: .25rem 0 0; color: var(--soft); }
header { margin-bottom: 1.5rem; font-weight: 600; }
header img { display: block; max-width: 100%; height: 2.5rem; object-fit: contain; }
footer { margin-top: 1.75rem; padding-top: 1.5rem; border-top: 1px solid var(--line); color: var(--soft);
  font-size: .9375rem; }
a { color: var(--leaf); }
header a { color: inherit; text-decoration: none; }
section { margin-top: 1.75rem; padding-top: 1.5rem; border-top: 1px solid var(--line); }
fieldset { margin: 1.25rem 0 0; padding: 0; border: 0; min-width: 0; }
legend { padding: 0; font-weight: 600; }
fieldset fieldset { margin: .25rem 0 0; padding-inline-start: 2rem; }
fieldset fieldset legend { font-size: .9375rem; font-weight: 400; color: var(--soft); }
label { display: flex; gap: .75rem; align-items: baseline; padding: .375rem 0; cursor: pointer; }
label small { display: block; color: var(--soft); font-size: .9375rem; }
input[type=checkbox] { flex: none; width: 1.625rem; height: 1.625rem; margin: 0; accent-color: var(--leaf);
  transform: translateY(.3rem); }
button { margin-top: 1rem; width: 100%; padding: .75rem 1rem; border: 1px solid var(--leaf); border-radius: 9px;
  background: var(--leaf); color: var(--on-leaf); font: inherit; font-weight: 600; cursor: pointer; }
button.quiet { background: transparent; color: var(--leaf); }
button:hover { filter: brightness(1.08); }
:is(button, input, a):focus-visible { outline: 3px solid var(--leaf); outline-offset: 3px; }
"""


def answer(texts: Texts, title: str, body: str, sender: Sender, *, status: int = 200) -> HTMLResponse:
    """A page; `body` is HTML that begins with an `h1`."""
    policy = f"{_POLICY}; img-src {sender.images}" if sender.images else _POLICY
    direction = ' dir="rtl"' if texts.right_to_left else ""
    page = f"""<!doctype html>
<html lang="{texts.language}"{direction}>
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body><main>{sender.head()}{body}{sender.foot(texts)}</main></body>
</html>
"""
    told = {**HEADERS, "Content-Security-Policy": policy, "Content-Language": texts.language}
    return HTMLResponse(page, status, told)


def words(title: str, *paragraphs: str) -> str:
    """A heading with paragraphs, as HTML."""
    return f"<h1>{escape(title)}</h1>" + "".join(f"<p>{escape(text)}</p>" for text in paragraphs)


def button(name: str, value: str, label: str, *, quiet: bool = False) -> str:
    """A form of one button, as HTML; it posts to the page's own address."""
    look = ' class="quiet"' if quiet else ""
    return f'<form method="post"><button name="{name}" value="{value}"{look}>{escape(label)}</button></form>'


def link(address: str, label: str) -> str:
    """A paragraph that leads on, as HTML."""
    return f'<p><a href="{escape(address)}">{escape(label)}</a></p>'


def unknown(texts: Texts, sender: Sender) -> HTMLResponse:
    """Nobody is known by this link: it was cut off, is not ours, or the person was erased."""
    return answer(texts, texts.unknown, words(texts.unknown, texts.unknown_text), sender, status=404)
