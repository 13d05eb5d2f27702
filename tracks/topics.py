"""Whether the topics that a track's messages name are those of the published policy."""

from __future__ import annotations

from collections.abc import Iterable

from tracks.model import Track
from tracks.problems import Problem, meant
from tracks.templates import messages_of


def topics_of(track: Track) -> set[str]:
    """Every topic that the track names."""
    named = {message.topic for step in track.walk() for message in messages_of(step)}
    return {topic for topic in (*named, track.defaults.sending.topic) if topic}


def topic_problems(track: Track, known: Iterable[str], name: str = "") -> list[Problem]:
    """Topics that nobody can subscribe to: no message of them would ever be sent."""
    file, topics = name or track.track, list(known)
    found = [("", track.defaults.sending.topic, "defaults.sending.topic: ")]
    found += [(step.id, message.topic, "") for step in track.walk() for message in messages_of(step)]
    return [
        Problem(file, 0, step, f"{where}there is no topic '{topic}' in the policy" + meant(topic, topics))
        for step, topic, where in found
        if topic and topic not in topics
    ]
