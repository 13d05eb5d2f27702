"""Find what makes a page hard to use, in a browser: with axe-core, and with our own checks of width and focus."""

from __future__ import annotations

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Page

_AXE = Axe()
_RULES = {"iframes": False, "resultTypes": ["violations"]}
"""All default rules of axe, and targets large enough for a finger. Frames hold emails, which have their own tests."""
_LAYOUT = r"""
() => {
  const found = [];
  const say = (what, element) =>
    found.push(`${what}: ${element.outerHTML.replace(/\s+/g, " ").slice(0, 120)}`);
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length;

  if (!document.querySelector('meta[name="viewport"]')) found.push("no viewport for phones");
  const controls = "a[href], button, input:not([type=hidden]), select, textarea, iframe";
  for (const control of document.querySelectorAll(controls))
    if (shown(control) && control.tabIndex < 0) say("not reachable by keyboard", control);

  // Width: a phone zooms out over a page that is too wide, so its innerWidth grows with the page
  const width = Math.min(innerWidth, screen.width);
  const wide = document.documentElement.scrollWidth - width;
  if (wide > 0) found.push(`${wide} pixels wider than the screen`);
  for (const element of document.querySelectorAll("body *")) {
    if (!shown(element) || element.closest("svg")) continue;
    const box = element.getBoundingClientRect();
    const clipped = (() => {
      for (let at = element.parentElement; at && at !== document.body; at = at.parentElement)
        if (getComputedStyle(at).overflowX !== "visible") return true;
      return false;
    })();
    if (!clipped && (box.right > width + 1 || box.left < -1)) say("beyond the screen's edge", element);
    const style = getComputedStyle(element);
    if (["auto", "scroll"].includes(style.overflowX) && element.scrollWidth > element.clientWidth + 1)
      say("scrolls sideways", element);
  }
  return found;
}
"""

_FOCUSED = r"""
() => {
  const element = document.activeElement;
  if (!element || element === document.body) return null;
  const ringed = (one) => one && getComputedStyle(one).outlineStyle !== "none";
  const labels = [...(element.labels ?? [])].map((label) => label.textContent).join(" ");
  return {
    name: (element.ariaLabel || labels || element.title || element.textContent || element.tagName).trim(),
    ringed: Boolean(ringed(element) || [...(element.labels ?? [])].some(ringed) || element.tagName === "IFRAME"),
  };
}
"""


async def accessibility_problems(page: Page, *, within: str = "html", colours: bool = True) -> list[str]:
    """The accessibility problems of the page as it is now.

    Axe costs half a second of CPU on a page of the inbox, half of it for the contrast of colours. `within`, a CSS
    selector, limits it to the part that has changed since the page was last checked. `colours=False` is for a page
    whose colours are checked elsewhere. The checks of width and focus are always of the whole page.
    """
    rules = _RULES | {"rules": {"target-size": {"enabled": True}, "color-contrast": {"enabled": colours}}}
    found = (await _AXE.run(page, context=within, options=rules)).response["violations"]
    layout: list[str] = await page.evaluate(_LAYOUT)
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]] + layout


async def tab_through(page: Page, most: int = 200) -> list[str]:
    """The names of the elements that the Tab key reaches, in order. Fails if one does not show its focus."""
    names: list[str] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(_FOCUSED)
        for _ in range(5):  # a frame of another origin is another process and takes the focus later
            if focused is None:
                await page.wait_for_timeout(50)
                focused = await page.evaluate(_FOCUSED)
        if focused is None:
            break
        assert focused["ringed"], f"{focused['name']} does not show that it has the focus"
        names.append(focused["name"])
    return names
