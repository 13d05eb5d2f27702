"""The sample contacts: fictional people, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

Track = Literal["trial-to-paid", "abandoned-cart", "win-back"]

FIRST = """Amara Bao Chiara Dario Elif Femi Greta Hassan Ines Jonas Keiko Lior Maren Nadia Otto Priya Quentin Rosa Sven
Tala Uma Viktor Wanda Ximena Yusuf Zofia Anouk Bruno Celine Dmitri Esme Farid Gala Hugo Ilse Jamal Kaia Leon Mira
Noor Orla Pavel Rania Silas Thea Udo Vera Wim Xenia Yara Zeno Alba Boris Cleo Dilan Edda Finn Gina Henk Ida""".split()
LAST = "Adler Brandt Costa Duval Eriksen Fischer Garcia Haddad Ivanov Jensen Kaya Lund Moreau Nakata Okafor".split()
COMPANIES = "Northwind Bluebird Lanternworks Mistral Quarry Saltmarsh Tidewater Umbra Vireo Wayfarer".split()
ZONES = (
    "Europe/Berlin Europe/London America/New_York America/Los_Angeles Asia/Kolkata Asia/Tokyo Australia/Sydney "
    "America/Sao_Paulo Africa/Nairobi Pacific/Auckland"
).split()
LOCALES = {"Europe/Berlin": "de", "America/Sao_Paulo": "pt_BR"}
"""Languages by zone. All other contacts read English."""
INDUSTRIES = ("retail", "software", "logistics")
SHARES: tuple[tuple[Track, int], ...] = (("trial-to-paid", 5), ("abandoned-cart", 3), ("win-back", 2))
BOUNCING = "bounce@simulator.amazonses.com"


@dataclass(frozen=True)
class Person:
    """One sample contact and their track."""

    id: str
    track: Track
    email: str
    phone: str | None
    timezone: str
    attributes: Mapping[str, Any]
    by_event: bool
    """Whether the track's entry event enrols the contact; otherwise the enrolment call does."""

    @property
    def first_name(self) -> str:
        return str(self.attributes["first_name"])

    def body(self) -> dict[str, Any]:
        """The body for `PUT /v1/contacts/{id}`."""
        told = {
            "email": self.email,
            "timezone": self.timezone,
            "locale": LOCALES.get(self.timezone, "en"),
            "attributes": dict(self.attributes),
        }
        return told | ({"phone": self.phone} if self.phone else {})


def draw_people(seed: int, today: date, count: int = 60) -> list[Person]:
    """`count` contacts. Every tenth has no phone, and one has a mailbox that does not exist."""
    dice = random.Random(seed)
    tracks = [track for track, share in SHARES for _ in range(share)]
    people = []
    for number in range(count):
        first = FIRST[number % len(FIRST)]
        last, company = dice.choice(LAST), dice.choice(COMPANIES)
        people.append(
            Person(
                id=f"demo-{number + 1:03d}",
                track=tracks[number % len(tracks)],
                email=BOUNCING if number == 9 else f"{first}.{last}.{number + 1}@people.test".lower(),
                # The United Kingdom reserves this range for films and books.
                phone=None if number % 10 == 3 else f"+447700900{number:03d}",
                timezone=dice.choice(ZONES),
                attributes={
                    "first_name": first,
                    "last_name": last,
                    "company": company,
                    "industry": INDUSTRIES[COMPANIES.index(company) % len(INDUSTRIES)],
                    "role": dice.choice(("engineer", "engineer", "manager", "founder", "designer")),
                    "trial_ends_on": (today + timedelta(days=14)).isoformat(),
                },
                by_event=bool(number % 2),
            )
        )
    return people
