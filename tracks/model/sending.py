"""The settings of a message about when and to whom it may go."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from tracks.model.recipients import Recipient
from tracks.model.values import (
    Duration,
    EntryCondition,
    EventName,
    LocalSpan,
    Model,
    PastEventCondition,
    SendCondition,
    Slug,
    Weekday,
    wrong,
)
from tracks.runs.program import UnknownPolicy

PRIORITY = 5
"""The middle of the range 0 to 9."""
HOLD = timedelta(days=7)


class Window(LocalSpan):
    """Local hours, and weekdays, in which a message may go; may cross midnight."""

    weekdays: tuple[Weekday, ...] | None = Field(None, min_length=1)


LATELY_AT_MOST = 200
"""How many earlier events of one name and contact an `unless` reads, newest first."""


class Lately(Model):
    """An event of the contact within a recent time."""

    event: EventName
    within: Duration
    where: PastEventCondition | None = None


def _exclusion_tag(value: Any) -> str:
    return "#lately" if isinstance(value, (dict, Lately)) else "#condition"


Exclusion = Annotated[
    Annotated[SendCondition, Tag("#condition")] | Annotated[Lately, Tag("#lately")], Discriminator(_exclusion_tag)
]
"""Contacts whom a message is not for: a condition, or an event that they did recently."""
EntryExclusion = Annotated[
    Annotated[EntryCondition, Tag("#condition")] | Annotated[Lately, Tag("#lately")], Discriminator(_exclusion_tag)
]
"""Contacts whom an entry event does not enrol, written in the same way."""


ExclusionRules = Annotated[tuple[str | dict[str, Any], ...], Field(max_length=20)]
"""Whom a track or the policy leaves alone: leaves of segments, each of which excludes by itself. `audience.exclusions`
reads and checks them."""


class SendingDefaults(Model):
    """For every message of the track that does not set its own value."""

    unless: Exclusion | None = Field(
        None, description="whom they are not for: a condition, or {event, within}; ignored for transactional messages"
    )
    topic: Slug | None = Field(None, description="what the contact subscribes to; a topic of the published policy")
    priority: int = Field(PRIORITY, ge=0, le=9, description="which message goes first under a cap; 9 is first")
    window: Window | None = Field(None, description="the local hours in which messages go")
    hold: Duration = Field(HOLD, description="how long a message may wait for its turn; then it is skipped")


class Message(Model):
    """What every message may set."""

    to: Recipient | None = Field(None, description="somebody else than the contact, such as {attribute: owner_email}")
    topic: Slug | None = Field(None, description="what the contact subscribes to; a topic of the published policy")
    priority: int | None = Field(None, ge=0, le=9, description="which message goes first under a cap; 9 is first")
    unless: Exclusion | None = Field(None, description="whom it is not for: a condition, or {event, within}")
    window: Window | None = Field(None, description="the local hours in which it may go")
    hold: Duration | None = Field(None, description="how long it may wait for its turn; then it is skipped")
    on_unknown: UnknownPolicy | None = Field(None, description="what to do when nobody knows whether it was sent")
    transactional: bool = Field(
        default=False, description="not marketing: ignores consent, caps, quiet hours; only what the contact asked for"
    )

    @model_validator(mode="after")
    def _own_rules_of_somebody_else(self) -> Message:
        if self.to is not None and (self.topic is not None or self.transactional):
            key = "topic" if self.topic is not None else "transactional"
            raise wrong(f"goes to somebody else, so it has no `{key}`: that is about what the contact agreed to")
        return self
