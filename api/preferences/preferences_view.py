"""What the preference page shows: leaving at once, topics and channels, a pause, everything off."""

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
"""The field that RFC 8058 has mail programs post."""
DO = "do"


@dataclass(frozen=True)
class View:
    """All that the page shows. `topic` and `channel` are those of the message whose link led here."""

    texts: Texts
    tags: list[str]
    policy: Policy
    channels: Sequence[ChannelChoice]
    channel: Channel
    topic: str
    agreed: date | None
    """Since when the contact has agreed to what that message was about, if they have."""
    paused_until: date | None
    done: tuple[str, str] | None
    """A heading and a sentence that say what has just been done."""

    one_click = ONE_CLICK
    do, seen, chosen = DO, SEEN, CHOSEN

    def name(self, slug: str) -> str:
        """A topic's name in the contact's language; its slug where the policy has it no more."""
        topic = self.policy.topics.get(slug)
        return best(topic.names, self.tags, topic.name) if topic else slug

    def named(self, slug: str) -> str:
        """The same within a sentence, whatever way it is written in."""
        return isolated(self.name(slug))

    def description(self, slug: str) -> str:
        """A topic's description in the contact's language, empty where there is none."""
        topic = self.policy.topics[slug]
        return best(topic.descriptions, self.tags, topic.description)

    @property
    def title(self) -> str:
        """What the window is called."""
        return self.done[0] if self.done else self.texts.title

    @property
    def pause_words(self) -> str:
        """Until when nothing comes, or what a pause would be."""
        if self.paused_until is None:
            return self.texts.pause_hint
        until = format_date(self.paused_until, format="long", locale=self.texts.language)
        return self.texts.paused.replace("{date}", until)

    @property
    def on(self) -> bool:
        """Whether anything may still come."""
        return any(choice.on for choice in self.channels)

    @property
    def savable(self) -> bool:
        """Whether the page can change anything about a channel."""
        return any(not choice.blocked for choice in self.channels)

    @property
    def leaving(self) -> str:
        """What one press ends, which is what the message was about; empty where that is off already."""
        choice = next((choice for choice in self.channels if choice.channel == self.channel), None)
        if choice is None or not choice.on:
            return ""
        if not self.topic:
            return self.texts.leave_channel[self.channel]
        if not any(choice.has(topic) for topic in choice.topics if topic.slug == self.topic):
            return ""
        return self.texts.leave_topic[self.channel].replace("{topic}", self.named(self.topic))

    def topics(self, choice: ChannelChoice) -> list[TopicChoice]:
        """A channel's topics, by their names."""
        return sorted(choice.topics, key=lambda topic: self.name(topic.slug).casefold())

    def hints(self, topic: TopicChoice) -> list[str]:
        """What is said below a topic's name."""
        hints = [self.description(topic.slug), self.texts.pending if topic.pending else ""]
        return [hint for hint in hints if hint]

    def box(self, choice: ChannelChoice, topic: TopicChoice | None = None) -> str:
        """The name of a channel's box, or of a topic's on it."""
        return box(choice.channel, topic.slug) if topic else box(choice.channel)

    @property
    def why_led(self) -> str:
        """Which message led here."""
        if self.topic:
            return self.texts.why_topic[self.channel].replace("{topic}", self.named(self.topic))
        return self.texts.why_channel[self.channel]

    @property
    def why_written(self) -> str:
        """Why it was written."""
        if self.agreed is None:
            return self.texts.why_not_left
        since = format_date(self.agreed, format="long", locale=self.texts.language)
        return self.texts.why_agreed.replace("{date}", since)

    def after(self, heading: str, sentence: str) -> View:
        """The same page, which says first what has just been done."""
        return replace(self, done=(heading, sentence))


def day(moment: datetime, timezone: str | None) -> date:
    """The day that it is then where the contact is."""
    return moment.astimezone(zone_of(timezone)).date()
