"""The preference page as HTML: leaving at once, topics and channels, a pause, everything off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from html import escape

from babel.dates import format_date

from api.choices import CHOSEN, SEEN, ChannelChoice, TopicChoice, box
from api.paper import button, words
from api.preference_texts.texts import Texts, best, isolated
from store.rows import Channel
from tracks.localtime import zone_of
from tracks.policy import Policy

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

    def after(self, heading: str, sentence: str) -> View:
        """The same page, which says first what has just been done."""
        return replace(self, done=(heading, sentence))


def day(moment: datetime, timezone: str | None) -> date:
    """The day that it is then where the contact is."""
    return moment.astimezone(zone_of(timezone)).date()


def body(view: View) -> str:
    """The page's body."""
    texts = view.texts
    if view.done:
        head = f'<div role="status">{words(*view.done)}</div>'
        form_title = f"<h2>{escape(texts.title)}</h2>"
    else:
        head, form_title = words(texts.title, texts.intro), ""
    form = f"<section>{form_title}{_form(view)}</section>"
    return head + _leaving(view) + form + _pausing(view) + _ending(view) + _why(view)


def _leaving(view: View) -> str:
    """One press for what the message was about; nothing where that is off already."""
    choice = next((choice for choice in view.channels if choice.channel == view.channel), None)
    if choice is None or not choice.on:
        return ""
    if view.topic and not any(choice.has(topic) for topic in choice.topics if topic.slug == view.topic):
        return ""
    texts = view.texts
    what = texts.leave_topic[view.channel] if view.topic else texts.leave_channel[view.channel]
    said = what.replace("{topic}", view.named(view.topic)) if view.topic else what
    return f"<section><p>{escape(said)}</p>{button(*ONE_CLICK, texts.leave)}</section>"


def _form(view: View) -> str:
    fieldsets = "".join(_channel(view, choice) for choice in view.channels)
    savable = any(not choice.blocked for choice in view.channels)
    save = f'<button name="{DO}" value="save">{escape(view.texts.save)}</button>' if savable else ""
    return f'<form method="post">{fieldsets}{save}</form><p>{escape(view.texts.needed)}</p>'


def _channel(view: View, choice: ChannelChoice) -> str:
    texts = view.texts
    legend = f"<legend>{escape(texts.channel[choice.channel])}</legend>"
    if choice.blocked:
        why = texts.stopped_by_word if choice.blocked == "stop" else texts.blocked
        return f"<fieldset>{legend}<p>{escape(why)}</p></fieldset>"
    whole = _box(box(choice.channel), texts.receive[choice.channel], ticked=choice.on)
    by_name = sorted(choice.topics, key=lambda topic: view.name(topic.slug).casefold())
    topics = "".join(_topic(view, choice, topic) for topic in by_name)
    if topics:
        topics = f"<fieldset><legend>{escape(texts.topics)}</legend>{topics}</fieldset>"
    return f"<fieldset>{legend}{whole}{topics}</fieldset>"


def _topic(view: View, choice: ChannelChoice, topic: TopicChoice) -> str:
    hints = [view.description(topic.slug), view.texts.pending if topic.pending else ""]
    return _box(box(choice.channel, topic.slug), view.name(topic.slug), *filter(None, hints), ticked=choice.has(topic))


def _box(value: str, label: str, *hints: str, ticked: bool) -> str:
    checked = " checked" if ticked else ""
    more = "".join(f'<small dir="auto">{escape(hint)}</small>' for hint in hints)
    named = f'<span><span dir="auto">{escape(label)}</span>{more}</span>'
    ticking = f'<input type="checkbox" name="{CHOSEN}" value="{value}"{checked}>'
    return f'<input type="hidden" name="{SEEN}" value="{value}"><label>{ticking}{named}</label>'


def _pausing(view: View) -> str:
    texts = view.texts
    if view.paused_until is not None:
        way = button(DO, "resume", texts.resume, quiet=True)
    elif any(choice.on for choice in view.channels):
        way = button(DO, "pause", texts.pause, quiet=True)
    else:
        return ""
    return f"<section><h2>{escape(texts.pause_title)}</h2><p>{escape(view.pause_words)}</p>{way}</section>"


def _ending(view: View) -> str:
    texts = view.texts
    if not any(choice.on for choice in view.channels):
        return ""
    way = button(DO, "all-off", texts.all_off, quiet=True)
    return f"<section><h2>{escape(texts.all_off_title)}</h2><p>{escape(texts.all_off_hint)}</p>{way}</section>"


def _why(view: View) -> str:
    """Which message led here, and why it was written."""
    texts = view.texts
    if view.topic:
        led = texts.why_topic[view.channel].replace("{topic}", view.named(view.topic))
    else:
        led = texts.why_channel[view.channel]
    if view.agreed is not None:
        since = format_date(view.agreed, format="long", locale=texts.language)
        reason = texts.why_agreed.replace("{date}", since)
    else:
        reason = texts.why_not_left
    return f"<section><h2>{escape(texts.why_title)}</h2><p>{escape(led)}</p><p>{escape(reason)}</p></section>"
