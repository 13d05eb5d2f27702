"""What a contact has chosen, as the preference page shows it, and what a submitted page changes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from store.people.consents import Change, Consent, Said
from store.people.permission import WHOLE_CHANNEL
from store.schema.rows import Channel, Contact
from store.schema.suppression_reasons import ENDED_BY_CONSENT
from tracks.policy.workspace_policy import Policy

CHANNELS: tuple[Channel, ...] = ("email", "sms")
SEEN = "seen"
CHOSEN = "on"
"""Fields of the form: every box that the page had, and those that were ticked."""


@dataclass(frozen=True)
class TopicChoice:
    """A topic on a channel. `own` is whether the contact has it, were the channel on."""

    slug: str
    own: bool
    pending: bool
    double: bool


@dataclass(frozen=True)
class ChannelChoice:
    """A channel that the contact has an address for. `blocked` is why this page cannot change it; empty if it can.

    `by_topics` says that it is on only because of a yes to one of its topics.
    """

    channel: Channel
    on: bool
    blocked: str
    topics: tuple[TopicChoice, ...]
    by_topics: bool = False

    def has(self, topic: TopicChoice) -> bool:
        """Whether messages about the topic go out."""
        return self.on and topic.own


def box(channel: str, topic: str = WHOLE_CHANNEL) -> str:
    """The name of a box: a channel as a whole, or a topic on it."""
    return f"{channel}.{topic}" if topic else channel


def choices(
    policy: Policy, person: Contact, held: Iterable[Consent], suppressed: Mapping[Channel, str]
) -> list[ChannelChoice]:
    """What the contact has now. `suppressed` says why an address is not written to, where it is not."""
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
    """What a saved page changes: only boxes that it had and that now stand otherwise.

    Whoever ticks a topic while the channel is off turns the channel on, for the ticked topics alone. `proven` is the
    channel of the message whose link led here, if it went to the contact's present address: what is agreed to there
    needs no other confirmation.
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
        if not choice.on or (choice.by_topics and left):  # the channel stays ticked though its topic's yes goes
            say(choice, WHOLE_CHANNEL, "granted")
        for topic in shown if choice.on or wished else ():
            if topic.slug in wished and not topic.own:
                say(choice, topic.slug, "confirmed" if topic.double and choice.channel == proven else "granted")
            elif topic.slug not in wished and topic.own:
                say(choice, topic.slug, "withdrawn")
    return changes


def everything_off(source: str, text_version: str) -> list[Change]:
    """Every channel, whether there is an address for it yet or not."""
    return [Change(channel, WHOLE_CHANNEL, "withdrawn", source, text_version) for channel in CHANNELS]
