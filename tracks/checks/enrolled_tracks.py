"""What a track asks of other tracks: those that it enrols contacts into are there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tracks.model.effects import Enrolment
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.structure.effect_parts import EffectPart


def missing_tracks(pieces: Iterable[EffectPart], known: Collection[str]) -> Iterator[tuple[Path, str]]:
    """Tracks to enrol into that are neither published nor published along."""
    for piece in pieces:
        if isinstance(piece.part, Enrolment) and piece.part.track not in known:
            words = f"there is no track '{piece.part.track}'" + meant(piece.part.track, sorted(known))
            yield (*piece.path, "track"), f"{words}; publish it before or in the same deploy"
