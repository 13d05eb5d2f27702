"""What the page and the email for salespeople say, in one language each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class SalesTexts:
    """One language. `{contact}`, `{salesperson}`, `{team}`, `{reason}` and `{time}` stand for what their names say."""

    language: str
    titles: Mapping[str, str]
    """The page's heading by the handoff's status."""
    whose: str
    why: str
    """The reason of a rejection."""
    until: str
    too_late: str
    """Nobody answered in time, but an answer is still kept."""
    kept: str
    """The answer came too late, or after another one."""
    not_now: str
    """The handoff cannot have this answer."""
    take: str
    why_not: str
    reject: str
    customer: str
    give_back: str
    subject: str
    """Of the email."""
    link: str
    """Before the link in the email."""
