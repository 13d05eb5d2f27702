"""The one page that contacts see of Perennial itself: leaving."""

from __future__ import annotations

from typing import Literal

_TEXTS: dict[str, tuple[str, str, str | None]] = {
    "ask": (
        "Unsubscribe?",
        "You will get no more of these emails. This takes effect at once.",
        "Unsubscribe",
    ),
    "done": (
        "You are unsubscribed",
        "We will not email you again. You can close this page.",
        None,
    ),
    "unknown": (
        "This link does not work",
        "It may have been cut off. Open the whole link from the email, or reply to the email instead.",
        None,
    ),
}


def page(state: Literal["ask", "done", "unknown"]) -> str:
    """The whole page as HTML; its button posts to the page's own address."""
    title, text, button = _TEXTS[state]
    form = (
        '<form method="post">'
        f'<input type="hidden" name="List-Unsubscribe" value="One-Click"><button>{button}</button></form>'
        if button
        else ""
    )
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ground: #f6f5f2; --card: #fff; --ink: #1d2521; --soft: #5c6862; --leaf: #2f6b4a;
  --on-leaf: #fff; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --ground: #141917; --card: #1d2421; --ink: #eef2ef; --soft: #a3b0a9; --leaf: #5fb085;
    --on-leaf: #0d1512; }}
}}
* {{ box-sizing: border-box; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem;
  background: var(--ground); color: var(--ink); font: 1.0625rem/1.5 system-ui, sans-serif; }}
main {{ width: 100%; max-width: 26rem; padding: 2.25rem 2rem; background: var(--card); border-radius: 14px;
  box-shadow: 0 1px 2px rgb(0 0 0 / 8%), 0 10px 30px rgb(0 0 0 / 6%); }}
h1 {{ margin: 0 0 .5rem; font-size: 1.375rem; line-height: 1.25; letter-spacing: -.01em; }}
p {{ margin: 0; color: var(--soft); }}
button {{ margin-top: 1.5rem; width: 100%; padding: .75rem 1rem; border: 0; border-radius: 9px;
  background: var(--leaf); color: var(--on-leaf); font: inherit; font-weight: 600; cursor: pointer; }}
button:hover {{ filter: brightness(1.08); }}
button:focus-visible {{ outline: 3px solid var(--leaf); outline-offset: 3px; }}
</style>
</head>
<body><main><h1>{title}</h1><p>{text}</p>{form}</main></body>
</html>
"""
