"""A contact's choices as the preference page shows them, and what a submitted page changes. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from store.people.consents.consents import Change, Consent, Said
from store.people.consents.permission import WHOLE_CHANNEL
from store.schema.rows import Channel, Contact
from store.schema.suppression_reasons import ENDED_BY_CONSENT
from tracks.policy.workspace_policy import Policy

CHANNELS: tuple[Channel, ...] = ("email", "sms")
SEEN = "seen"
CHOSEN = "on"
"""Fields of the form: every box on the page, and every ticked box."""


@dataclass(frozen=True)
class TopicChoice:
    """A topic on a channel. `own` is whether the contact would get it if the channel were on."""

    slug: str
    own: bool
    pending: bool
    double: bool


@dataclass(frozen=True)
class ChannelChoice:
    """A channel for which the contact has an address. `blocked` says why this page cannot change it; empty if it can.

    `by_topics`: the channel is on only because the contact agreed to one of its topics.
    """

    channel: Channel
    on: bool
    blocked: str
    topics: tuple[TopicChoice, ...]
    by_topics: bool = False

    def has(self, topic: TopicChoice) -> bool:
        """Whether messages about the topic are sent."""
        return self.on and topic.own


def box(channel: str, topic: str = WHOLE_CHANNEL) -> str:
    """The name of the box of a whole channel, or of a topic on it."""
    return f"{channel}.{topic}" if topic else channel


def choices(
    policy: Policy, person: Contact, held: Iterable[Consent], suppressed: Mapping[Channel, str]
) -> list[ChannelChoice]:
    """The contact's current choices. `suppressed` holds the reason for each channel whose address is suppressed."""
    status = {(consent.channel, consent.topic): consent.status for consent in held}
    found = []
    for channel in CHANNELS:
        if not person.address(channel):
            continue
        topics = tuple(
            TopicChoice(
                slug,
                own=said == "granted" or (said is None and topic.opt_in == "implied"),
                pending=said == "pending",
                double=topic.opt_in == "double",
            )
            for slug, topic in policy.topics.items()
            for said in [status.get((channel, slug))]
        )
        whole, reason = status.get((channel, WHOLE_CHANNEL)), suppressed.get(channel)
        agreed = whole == "granted" or any(status.get((channel, slug)) == "granted" for slug in policy.topics)
        allowed = whole != "withdrawn" and (agreed or policy.rules(channel).opt_in == "implied")
        blocked = reason if reason is not None and reason not in ENDED_BY_CONSENT else ""
        by_topics = whole != "granted" and policy.rules(channel).opt_in != "implied"
        found.append(ChannelChoice(channel, allowed and reason is None, blocked, topics, by_topics))
    return found


def chosen(
    now: Sequence[ChannelChoice],
    form: Sequence[tuple[str, str]],
    source: str,
    text_version: str,
    *,
    proven: Channel | None,
) -> list[Change]:
    """The changes of a saved page. Only boxes that were on the page and differ from the stored state count.

    If a contact ticks a topic while the channel is off, the channel is turned on for the ticked topics alone. `proven`
    is the channel of the message whose link opened the page, if the message went to the contact's present address:
    consent on that channel needs no other confirmation.
    """
    seen = {value for name, value in form if name == SEEN}
    ticked = {value for name, value in form if name == CHOSEN} & seen
    changes: list[Change] = []

    def say(choice: ChannelChoice, topic: str, status: Said) -> None:
        changes.append(Change(choice.channel, topic, status, source, text_version))

    for choice in now:
        if choice.blocked or box(choice.channel) not in seen:
            continue
        shown = [topic for topic in choice.topics if box(choice.channel, topic.slug) in seen]
        wished = {topic.slug for topic in shown if box(choice.channel, topic.slug) in ticked}
        whole = box(choice.channel) in ticked
        if choice.on and not whole:
            say(choice, WHOLE_CHANNEL, "withdrawn")
            continue
        if not choice.on and not whole and not wished:
            continue
        left = any(topic.own and topic.slug not in wished for topic in shown)
        if not choice.on or (choice.by_topics and left):  # its box stays ticked, but a topic was unticked
            say(choice, WHOLE_CHANNEL, "granted")
        for topic in shown if choice.on or wished else ():
            if topic.slug in wished and not topic.own:
                say(choice, topic.slug, "confirmed" if topic.double and choice.channel == proven else "granted")
            elif topic.slug not in wished and topic.own:
                say(choice, topic.slug, "withdrawn")
    return changes


def everything_off(source: str, text_version: str) -> list[Change]:
    """The changes that turn every channel off, also channels without an address."""
    return [Change(channel, WHOLE_CHANNEL, "withdrawn", source, text_version) for channel in CHANNELS]
