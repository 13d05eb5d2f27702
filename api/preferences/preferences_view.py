"""The content of the preference page: unsubscribe, topics and channels, a pause, everything off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime

from babel.dates import format_date

from api.pages.texts.texts import Texts, best, isolated
from api.preferences.choices import CHOSEN, SEEN, ChannelChoice, TopicChoice, box
from store.schema.rows import Channel
from tracks.policy.workspace_policy import Policy
from tracks.time.local_time import zone_of

ONE_CLICK = ("List-Unsubscribe", "One-Click")
"""The form field that mail programs post (RFC 8058)."""
DO = "do"


@dataclass(frozen=True)
class View:
    """All that the page shows. `topic` and `channel` are those of the message whose link opened the page."""

    texts: Texts
    tags: list[str]
    policy: Policy
    channels: Sequence[ChannelChoice]
    channel: Channel
    topic: str
    agreed: date | None
    """Day on which the contact consented to the message's topic; None without consent."""
    paused_until: date | None
    done: tuple[str, str] | None
    """A heading and a sentence about what has just been done."""

    one_click = ONE_CLICK
    do, seen, chosen = DO, SEEN, CHOSEN

    def name(self, slug: str) -> str:
        """A topic's name in the contact's language; its slug if the policy does not have the topic."""
        topic = self.policy.topics.get(slug)
        return best(topic.names, self.tags, topic.name) if topic else slug

    def named(self, slug: str) -> str:
        """The name for use within a sentence, isolated from the sentence's writing direction."""
        return isolated(self.name(slug))

    def description(self, slug: str) -> str:
        """A topic's description in the contact's language; empty if there is none."""
        topic = self.policy.topics[slug]
        return best(topic.descriptions, self.tags, topic.description)

    @property
    def title(self) -> str:
        """The page's title."""
        return self.done[0] if self.done else self.texts.title

    @property
    def pause_words(self) -> str:
        """Until when the current pause lasts, or what a pause would do."""
        if self.paused_until is None:
            return self.texts.pause_hint
        until = format_date(self.paused_until, format="long", locale=self.texts.language)
        return self.texts.paused.replace("{date}", until)

    @property
    def on(self) -> bool:
        """Whether any channel is on."""
        return any(choice.on for choice in self.channels)

    @property
    def savable(self) -> bool:
        """Whether the page can change at least one channel."""
        return any(not choice.blocked for choice in self.channels)

    @property
    def leaving(self) -> str:
        """What the unsubscribe button ends: the message's topic or channel; empty if it is off already."""
        choice = next((choice for choice in self.channels if choice.channel == self.channel), None)
        if choice is None or not choice.on:
            return ""
        if not self.topic:
            return self.texts.leave_channel[self.channel]
        if not any(choice.has(topic) for topic in choice.topics if topic.slug == self.topic):
            return ""
        return self.texts.leave_topic[self.channel].replace("{topic}", self.named(self.topic))

    def topics(self, choice: ChannelChoice) -> list[TopicChoice]:
        """A channel's topics, sorted by name."""
        return sorted(choice.topics, key=lambda topic: self.name(topic.slug).casefold())

    def hints(self, topic: TopicChoice) -> list[str]:
        """The texts below a topic's name."""
        hints = [self.description(topic.slug), self.texts.pending if topic.pending else ""]
        return [hint for hint in hints if hint]

    def box(self, choice: ChannelChoice, topic: TopicChoice | None = None) -> str:
        """The name of the box of a channel, or of a topic on it."""
        return box(choice.channel, topic.slug) if topic else box(choice.channel)

    @property
    def why_led(self) -> str:
        """A sentence that names the message whose link opened the page."""
        if self.topic:
            return self.texts.why_topic[self.channel].replace("{topic}", self.named(self.topic))
        return self.texts.why_channel[self.channel]

    @property
    def why_written(self) -> str:
        """A sentence that says why the message was sent."""
        if self.agreed is None:
            return self.texts.why_not_left
        since = format_date(self.agreed, format="long", locale=self.texts.language)
        return self.texts.why_agreed.replace("{date}", since)

    def after(self, heading: str, sentence: str) -> View:
        """A copy of the page that first says what has just been done."""
        return replace(self, done=(heading, sentence))


def day(moment: datetime, timezone: str | None) -> date:
    """The local date of a moment in the contact's timezone."""
    return moment.astimezone(zone_of(timezone)).date()
