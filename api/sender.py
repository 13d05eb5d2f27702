"""Who the pages that contacts open are from: the sender as the settings name it, as HTML above and below each page."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

from api.preference_texts.texts import Texts
from settings import Settings


@dataclass(frozen=True)
class Sender:
    """Any part may be empty: then the pages show nothing of it."""

    name: str = ""
    website: str = ""
    logo: str = ""
    address: str = ""

    @property
    def images(self) -> str:
        """Where the pages' images come from, for their Content-Security-Policy; empty where they have none."""
        logo = urlsplit(self.logo)
        return f"{logo.scheme}://{logo.netloc}" if self.logo else ""

    def head(self) -> str:
        """The logo or the name, which leads to the website."""
        if not self.name:
            return ""
        name = escape(self.name)
        shown = f'<img src="{escape(self.logo)}" alt="{name}">' if self.logo else name
        led = f'<a href="{escape(self.website)}" rel="noreferrer">{shown}</a>' if self.website else shown
        return f'<header dir="auto">{led}</header>'

    def foot(self, texts: Texts) -> str:
        """Name and address, and the way to the website."""
        lines = [f'<span dir="auto">{escape(line)}</span>' for line in (self.name, *self.address.splitlines()) if line]
        if self.website and self.name:
            way = escape(texts.to_website.replace("{sender}", self.name))
            lines.append(f'<a href="{escape(self.website)}" rel="noreferrer">{way}</a>')
        return f"<footer>{'<br>'.join(lines)}</footer>" if lines else ""


NOBODY = Sender()


def sender_of(settings: Settings) -> Sender:
    """The sender that the settings name."""
    return Sender(settings.sender_name, settings.sender_website, settings.sender_logo, settings.sender_address)
