"""The settings of the steps that have an effect outside: messages, the CRM, attributes, webhooks."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, model_validator

from tracks.model.sending import Message
from tracks.model.values import (
    Amount,
    AttributeName,
    Channel,
    Delay,
    Duration,
    Liquid,
    Mailbox,
    Model,
    Short,
    Slug,
    SmsSender,
    Url,
    wrong,
)

_SHARE = re.compile(r"\d{1,3}(\.\d{1,2})?%")
MOST_EXPLORED = 50
"""Percent of the leads without the needed grade, of whom more would no longer be a sample."""


class EmailTracking(Model):
    """What is tracked of an email. A value that is left out comes from the track's defaults."""

    opens: bool | None = Field(None, description="a picture whose loading shows that the email was opened")
    clicks: bool | None = Field(None, description="tracked links, which show which were followed")


class SmsTracking(Model):
    """What is tracked of a text message. A value that is left out comes from the track's defaults."""

    clicks: bool | None = Field(None, description="tracked links, which show which were followed; they are longer")


class Email(Message):
    """An email made from a template."""

    template: Slug = Field(description="the name of a published email template")
    version: int | None = Field(None, ge=1, description="pins a template version; otherwise the latest is sent")
    subject: Liquid | None = Field(None, description="Liquid, in place of the template's subject")
    from_: Mailbox | None = Field(None, alias="from", description="in place of defaults.email.from")
    reply_to: Mailbox | None = None
    variables: dict[str, JsonValue] = Field(default={}, description="values for the template's variables")
    track: EmailTracking = EmailTracking()

    def tracks(self, what: Literal["opens", "clicks"], defaults: EmailTracking) -> bool:
        """Whether opens or clicks are tracked: the message decides, then the defaults; without both, they are tracked.

        A track's defaults are about its marketing. A transactional email is tracked only if the message says so.
        """
        if self.to is not None:
            return False  # what somebody else opens says nothing about the contact
        own, common = getattr(self.track, what), getattr(defaults, what)
        return bool(own) if own is not None else not self.transactional and common is not False


class Sms(Message):
    """A text message, from a template or written here."""

    template: Slug | None = Field(None, description="the name of a published SMS template")
    version: int | None = Field(None, ge=1)
    text: Liquid | None = Field(None, description="the message itself, in Liquid, in place of a template")
    from_: SmsSender | None = Field(None, alias="from", description="in place of defaults.sms.from")
    variables: dict[str, JsonValue] = {}
    track: SmsTracking = SmsTracking()

    def tracks(self, defaults: SmsTracking) -> bool:
        """Whether clicks are tracked: the message decides, then the defaults; without both, they are not tracked."""
        return self.to is None and bool(defaults.clicks if self.track.clicks is None else self.track.clicks)

    @model_validator(mode="after")
    def _to_a_phone(self) -> Sms:
        if self.to is not None and self.to.salesperson:
            raise wrong("goes to the salesperson, of whom the policy knows an email address only; send an email")
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Sms:
        if (self.template is None) == (self.text is None):
            raise wrong("needs either a template or a text")
        if self.text is not None and self.version is not None:
            raise wrong("has a version, which only a template can have")
        return self


class Offer(Model):
    """One channel that a `send` step may use, with its message."""

    email: Email | None = None
    sms: Sms | None = None

    @model_validator(mode="after")
    def _one_channel(self) -> Offer:
        if (self.email is None) == (self.sms is None):
            raise wrong("needs exactly one of email, sms")
        if self.message.to is not None:
            raise wrong("chooses the channel by what the contact agreed to; a message to somebody else is its own step")
        return self

    @property
    def message(self) -> Email | Sms:
        """The email or the text message."""
        message = self.email or self.sms
        assert message is not None
        return message

    @property
    def channel(self) -> Channel:
        """The channel of the message."""
        return "email" if self.email is not None else "sms"


def _each_once(value: tuple[Offer, ...]) -> tuple[Offer, ...]:
    if len({offer.channel for offer in value}) < len(value):
        raise wrong("has a channel twice; each is written at most once")
    return value


class Send(Model):
    """One message by one of several channels."""

    to: Literal["best", "first"] = Field(
        "best", description="best: by consent and by what reached the contact before; first: the first that may be used"
    )
    channels: Annotated[tuple[Offer, ...], Field(min_length=2), AfterValidator(_each_once)] = Field(
        description="at least two, such as [{email: …}, {sms: …}]; the order decides between equals"
    )


class Enrolment(Model):
    """Another track to enrol the contact into."""

    track: Slug
    properties: dict[str, JsonValue] = {}


class Task(Model):
    """Something for a salesperson to do."""

    title: Liquid
    due: Delay | None = Field(None, description="how long from now, such as 1d")
    owner: Short | None = None


def _share(value: str) -> str:
    if not _SHARE.fullmatch(value) or not 0 < float(value[:-1]) <= MOST_EXPLORED:
        raise wrong(f"should be a share of at most {MOST_EXPLORED} %, such as 5% or 0.5%")
    return value


class Needs(Model):
    """The grade that a lead must have, and the share of the others who are handed over all the same.

    Without these others nobody would know what sales makes of leads of lower grades.
    """

    score: Slug
    grade: Slug = Field(description="this grade of the score, or a higher one")
    explore: Annotated[str, AfterValidator(_share)] | None = Field(
        None, description="the share of the leads without the grade who are handed over by chance, such as 5%"
    )

    @property
    def explored(self) -> float:
        """That share, from 0 to 1."""
        return float(self.explore[:-1]) / 100 if self.explore else 0.0


class Lead(Model):
    """A lead that sales is asked to take over."""

    to: Slug = Field(description="the team of the policy's `sales` that the lead goes to")
    reason: Liquid = Field(description="why sales should call now; it becomes the title of the task")
    due: Duration = Field(description="how long sales has to answer, such as 2d")
    needs: Needs | None = Field(None, description="the grade that a lead must have; others take the way of when_none")


class Crm(Model):
    """What to write to the CRM."""

    stage: Short | None = Field(None, description="the lifecycle stage")
    fields: dict[str, JsonValue] = {}
    note: Liquid | None = None
    task: Task | None = None

    @model_validator(mode="after")
    def _something(self) -> Crm:
        if self.stage is None and not self.fields and self.note is None and self.task is None:
            raise wrong("needs at least one of stage, fields, note, task")
        return self


class Changes(Model):
    """Contact attributes to write. `attributes` writes a text as a text, even if it looks like a number."""

    attributes: dict[AttributeName, JsonValue] = Field(default={}, description="stored as written; texts are Liquid")
    add: dict[AttributeName, Amount] = Field(
        default={}, description="numbers to add to attributes; a missing attribute counts as 0"
    )
    numbers: dict[AttributeName, Amount] = Field(
        default={}, description="Liquid; computes a number, stored as a number"
    )

    @model_validator(mode="after")
    def _something(self) -> Changes:
        if not self.attributes and not self.add and not self.numbers:
            raise wrong("needs at least one of attributes, add, numbers")
        named = [*self.attributes, *self.add, *self.numbers]
        twice = next((name for name in named if named.count(name) > 1), None)
        if twice is not None:
            raise wrong(f"writes '{twice}' twice; each attribute is written once in a step")
        return self


class Webhook(Model):
    """A signed call (Standard Webhooks) to your own system."""

    url: Url
    payload: dict[str, JsonValue] = {}
    give_up_after: Duration | None = Field(
        default=None,
        description="How long a receiver that does not answer is retried, in real time; three days if left out.",
    )
