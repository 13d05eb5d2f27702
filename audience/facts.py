"""What is known of one contact when segments and scores are computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple


class Fact(NamedTuple):
    """Something that a contact did."""

    event_id: str
    name: str
    at: datetime
    properties: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one contact: the contact as conditions see it, and events in any order."""

    contact: Mapping[str, Any]
    events: Sequence[Fact] = ()
