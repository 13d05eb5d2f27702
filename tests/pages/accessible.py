"""What makes a page hard to use, found in a browser: unnamed controls, faint text, sideways scrolling."""

from __future__ import annotations

from playwright.async_api import Page

_FIND = r"""
() => {
  const found = [];
  const say = (what, element) =>
    found.push(`${what}: ${element.outerHTML.replace(/\s+/g, " ").slice(0, 120)}`);
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && element.getClientRects().length;

  // The page itself
  if (!document.documentElement.lang) found.push("no language");
  if (!document.title.trim()) found.push("no title");
  if (!document.querySelector('meta[name="viewport"]')) found.push("no viewport for phones");
  if (document.querySelectorAll("main").length !== 1) found.push("not one main landmark");

  // For who listens, or has come by keyboard: neither seen nor touched
  const heard = (element) => getComputedStyle(element).clipPath === "inset(50%)";

  // Controls: named, reachable by keyboard, large enough for a finger
  const touch = matchMedia("(pointer: coarse)").matches;
  const controls = "a[href], button, input:not([type=hidden]), select, textarea, iframe";
  for (const control of document.querySelectorAll(controls)) {
    if (!shown(control)) continue;
    const labels = [...(control.labels ?? [])].map((label) => label.textContent).join(" ");
    const within = control.matches("input, iframe") ? "" : control.textContent;
    const name = control.ariaLabel || labels || control.title || within;
    if (!name?.trim()) say("without a name", control);
    if (control.tabIndex < 0) say("not reachable by keyboard", control);
    const target = (control.labels?.[0] && getComputedStyle(control).opacity === "0") ? control.labels[0] : control;
    const box = target.getBoundingClientRect();
    const amidText = getComputedStyle(control).display === "inline";
    const small = Math.min(box.width, box.height) < 24;
    if (touch && !amidText && shown(target) && !heard(target) && small) say("too small to touch", target);
  }
  for (const image of document.querySelectorAll("img:not([alt])")) say("image without alternative text", image);

  // Text: contrast as WCAG 2 counts it, by computed colours
  const parse = (colour) => {
    const numbers = colour.match(/[\d.]+/g).map(Number);
    const scale = colour.startsWith("color(") ? 255 : 1;
    return [numbers[0] * scale, numbers[1] * scale, numbers[2] * scale, numbers[3] ?? 1];
  };
  const over = (top, below) => [0, 1, 2].map((i) => top[i] * top[3] + below[i] * (1 - top[3])).concat(1);
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 1]);
  };
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || seen.has(element) || !shown(element) || heard(element)) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const below = ground(element);
    const [a, b] = [light(over(parse(style.color), below)), light(below)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < (large ? 3 : 4.5)) say(`contrast of ${ratio.toFixed(2)}`, element);
  }

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


async def hindrances(page: Page) -> list[str]:
    """What hinders people on this page as it is now; empty when nothing does."""
    found: list[str] = await page.evaluate(_FIND)
    return found


async def tab_through(page: Page, most: int = 200) -> list[str]:
    """The names of what the Tab key reaches, in order; fails if one of them does not show that it has the focus."""
    names: list[str] = []
    for _ in range(most):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(_FOCUSED)
        for _ in range(5):  # a frame of another origin is another process, which takes the focus a moment later
            if focused is None:
                await page.wait_for_timeout(50)
                focused = await page.evaluate(_FOCUSED)
        if focused is None:
            break
        assert focused["ringed"], f"{focused['name']} does not show that it has the focus"
        names.append(focused["name"])
    return names
