"""Which events a leaf counts: those for which `where` holds, and, of messages, those of a topic, track and origin."""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from audience.conditions import EventCondition, judge_event
from audience.facts import Fact
from tracks.model.values import Model, Slug, wrong
from tracks.runs.bot_engagement import CLASSED, By
from tracks.static_analysis.built_in_events import OWN

ABOUT_MESSAGES = frozenset(name for name in OWN if name.partition(".")[0] in ("email", "sms", "contact"))
"""Perennial's events whose properties tell the message's topic and track, where there is a message."""


class Counted(Model):
    """What leaves about events have. The field that names the kind holds the event."""

    kind: ClassVar[str]

    where: EventCondition | None = None
    by: By | None = Field(None, description="of clicks and opens: who made them")
    topic: Slug | None = Field(None, description="of events about messages: the message's topic")
    track: Slug | None = Field(None, description="of events about messages: the track that sent the message")

    @property
    def event(self) -> str:
        """The name of the event."""
        named: str = getattr(self, self.kind)
        return named

    def naming_problem(self) -> str | None:
        """What is wrong with the way in which the event is named; None if nothing is."""
        return None

    @model_validator(mode="after")
    def _is_about_messages(self) -> Self:
        if (misnamed := self.naming_problem()) is not None:
            raise wrong(misnamed)
        event, found = self.event, []
        if self.by is not None and event not in CLASSED:
            found.append(f"by is for {', '.join(CLASSED)}; of {event} it is not known who made it")
        about = [key for key in ("topic", "track") if getattr(self, key) is not None]
        if about and event not in ABOUT_MESSAGES:
            words = f"{' and '.join(about)} can only stand beside events about messages, such as email.clicked"
            found.append(f"{words}; for {event} write a where")
        if found:
            raise wrong("; ".join(found))
        return self

    @property
    def looks_inside(self) -> bool:
        """Whether it depends on an event's properties which leaf counts it."""
        return (self.where, self.by, self.topic, self.track) != (None, None, None, None)

    def counts(self, fact: Fact) -> bool:
        """Whether an event of the right name is one of those that the leaf means.

        A click without an origin counts as a person's, as it does in tracks.
        """
        own = fact.properties
        return (
            (self.by is None or own.get("by", "human") == self.by)
            and (self.topic is None or own.get("topic") == self.topic)
            and (self.track is None or own.get("track") == self.track)
            and judge_event(self.where, fact).holds
        )
