"""The part of the policy about sales: who takes leads, why they may reject one, and which messages wait meanwhile.

```
sales:
  teams:
    sales:
      owner: account_owner
      people:
        - {id: ada, name: Ada Lovelace, email: ada@acme.test, crm_owner: '51234567'}
        - {id: emil, name: Emil Berg, takes: 'contact.locale == "de"'}
  reject_reasons: {not-a-fit: Not a fit, wrong-time: Not now}
  hold: {tracks: [newsletter], after_accepted: 14d, messages: defer}
  rest_after_rejection: 30d
  notify: {from: 'Leads <leads@acme.test>'}
```
"""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from tracks.contacts.contact_fields import check_locale
from tracks.model.values import AttributeName, ContactCondition, Duration, Mailbox, Model, Short, Slug, wrong

MAX_WITH_SALES = timedelta(days=366)
"""The longest time for which messages are held after a lead was accepted, or a rejected lead rests."""


def _language(value: str) -> str:
    try:
        return check_locale(value)
    except ValueError as problem:
        raise wrong(str(problem)) from None


class Salesperson(Model):
    """Somebody who takes leads."""

    id: Slug
    name: Short
    email: Mailbox | None = None
    crm_owner: Short | None = Field(None, description="their id as an owner in HubSpot; tasks are then theirs there")
    takes: ContactCondition | None = Field(
        None, description="the leads that are theirs before all others, such as a territory or a language; CEL"
    )
    language: Annotated[Short, AfterValidator(_language)] | None = Field(
        None, description="the language of their page and email, such as de"
    )
    away: bool = Field(default=False, description="takes no new leads now")


class Team(Model):
    """The people who take a kind of lead in turn."""

    people: tuple[Salesperson, ...] = Field(min_length=1)
    owner: AttributeName | None = Field(
        None, description="the contact's attribute that names its owner: a person's id, email or crm_owner"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Team:
        ids = [person.id for person in self.people]
        twice = next((one for one in ids if ids.count(one) > 1), None)
        if twice is not None:
            raise wrong(f"has two people with the id '{twice}'")
        return self


def _bounded(value: timedelta) -> timedelta:
    if value > MAX_WITH_SALES:
        raise wrong(f"is longer than {MAX_WITH_SALES.days} days")
    return value


def _tracks_tag(value: Any) -> str:
    return "#names" if isinstance(value, list | tuple) else "#word"


class Hold(Model):
    """Which promotional messages wait while a lead is with sales, so that nobody is written to by two at once."""

    tracks: Annotated[
        Annotated[Literal["all"], Tag("#word")] | Annotated[tuple[Slug, ...], Tag("#names")], Discriminator(_tracks_tag)
    ] = Field(description="the tracks whose messages wait, or all")
    after_accepted: Annotated[Duration, AfterValidator(_bounded)] = Field(
        timedelta(days=14), description="how long a lead that sales has accepted counts as being with sales"
    )
    messages: Literal["defer", "skip"] = Field(
        "defer", description="defer: they wait, within their own `hold`; skip: they are never sent"
    )

    def covers(self, track: str) -> bool:
        """Whether the messages of this track wait."""
        return self.tracks == "all" or track in self.tracks


class Notify(Model):
    """The email that a salesperson gets for each lead: the summary, and the link to answer."""

    from_: Mailbox = Field(alias="from", description="the sender")
    reply_to: Mailbox | None = None


class Sales(Model):
    """Who takes leads, and what follows for the messages to them."""

    teams: dict[Slug, Team] = {}
    reject_reasons: dict[Slug, Short] = Field(default={}, description="why a lead may be rejected: id, and its words")
    hold: Hold | None = None
    rest_after_rejection: Annotated[Duration, AfterValidator(_bounded)] | None = Field(
        None, description="how long a lead that sales has rejected is not handed over again, by any track"
    )

    notify: Notify | None = None

    def person(self, team: str, salesperson: str) -> Salesperson | None:
        """A member of a team; None if the policy does not name such a one (any more)."""
        people = self.teams[team].people if team in self.teams else ()
        return next((one for one in people if one.id == salesperson), None)

    @model_validator(mode="after")
    def _can_be_notified(self) -> Sales:
        if self.notify is None:
            return self
        for name, team in self.teams.items():
            without = [person.id for person in team.people if person.email is None]
            if without:
                raise wrong(f"has notify, but no email of {', '.join(without)} in the team {name}")
        return self

    @model_validator(mode="after")
    def _can_reject(self) -> Sales:
        if self.teams and not self.reject_reasons:
            raise wrong("has teams but no reject_reasons; write at least one, such as {not-a-fit: Not a fit}")
        return self


NO_SALES = Sales()
