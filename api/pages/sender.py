"""Who the pages that contacts open are from: the sender as the settings name it, above and below each page."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

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

    @property
    def lines(self) -> list[str]:
        """Name and address, line by line."""
        return [line for line in (self.name, *self.address.splitlines()) if line]


NOBODY = Sender()


def sender_of(settings: Settings) -> Sender:
    """The sender that the settings name."""
    return Sender(settings.sender_name, settings.sender_website, settings.sender_logo, settings.sender_address)
