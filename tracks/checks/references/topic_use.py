"""Check that the published policy has the topics that a track's messages name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tracks.checks.references.template_use import messages_of
from tracks.model.sending import Message
from tracks.model.track import Track
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.static_analysis.effect_parts import EffectPart


def topics_of(track: Track) -> set[str]:
    """Every topic that the track names."""
    named = {message.topic for step in track.walk() for message in messages_of(step)}
    return {topic for topic in (*named, track.defaults.sending.topic) if topic}


def topic_problems(data: Any, pieces: Iterable[EffectPart], known: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Topics that the policy does not have. Nobody can subscribe to them, so their messages would never be sent."""
    topics = list(known)
    for path, topic in (*_by_default(data), *_of_messages(pieces)):
        if topic and topic not in topics:
            where = "" if path[0] == "steps" else "defaults.sending.topic: "
            yield path, f"{where}there is no topic '{topic}' in the policy" + meant(topic, topics)


def _of_messages(pieces: Iterable[EffectPart]) -> Iterator[tuple[Path, str | None]]:
    for piece in pieces:
        if isinstance(piece.part, Message):
            yield (*piece.path, "topic"), piece.part.topic


def _by_default(data: Any) -> Iterator[tuple[Path, str]]:
    for key in ("defaults", "sending", "topic"):
        data = data.get(key) if isinstance(data, Mapping) else None
    if isinstance(data, str):
        yield ("defaults", "sending", "topic"), data
