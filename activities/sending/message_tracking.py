"""Track links and opens of messages: store the links with the claim, and lead them through the click counter."""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.shared.step_content import Draft, Links
from store.sending.feedback import engagement
from tracks.content.rendering.link_tracking import Page, find_addresses, track_part, track_text
from tracks.content.rendering.render import MAX_SMS
from tracks.content.rendering.rendered_messages import RenderedEmail
from tracks.content.rendering.template_error import TemplateError
from tracks.shared.link_tokens import DECOY, MAX_NUMBER


async def track_email(
    tx: AsyncConnection, rendered: RenderedEmail, draft: Draft, links: Links, *, clicks: bool, opens: bool
) -> RenderedEmail:
    """The email with the requested tracking. An email of plain text only has no picture, so no tracked opens."""
    if not rendered.html:
        text = await _track(tx, rendered.text, draft, links) if clicks else rendered.text
        return replace(rendered, text=text)
    page = Page(rendered.html, links.ours)
    addresses = await _addresses(tx, draft, page.links if clicks else [], links)
    html = page.track(
        addresses,
        decoy=links.click(draft.message_id, DECOY) if addresses else "",
        pixel=links.open(draft.message_id) if opens else "",
    )
    return replace(rendered, html=html, text=track_part(rendered.text, addresses))


async def track_sms(tx: AsyncConnection, body: str, draft: Draft, links: Links) -> str:
    """The text with its links tracked. Raises TemplateError if it then is longer than a provider accepts."""
    tracked = await _track(tx, body, draft, links)
    if len(tracked) > MAX_SMS:
        raise TemplateError("SmsTooLong")
    return tracked


async def _track(tx: AsyncConnection, text: str, draft: Draft, links: Links) -> str:
    found = find_addresses(text, links.ours)
    return track_text(text, await _addresses(tx, draft, found, links))


async def _addresses(tx: AsyncConnection, draft: Draft, targets: list[str], links: Links) -> dict[str, str]:
    if not targets:
        return {}
    numbers = await engagement.keep_links(tx, draft.message_id, targets, first=draft.first)
    return {url: links.click(draft.message_id, numbers[url]) for url in targets if numbers[url] <= MAX_NUMBER}
