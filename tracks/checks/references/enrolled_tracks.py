"""Check that the tracks into which a track enrols contacts exist."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from tracks.model.steps.effects import Enrolment
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.static_analysis.effect_parts import EffectPart


def missing_tracks(pieces: Iterable[EffectPart], known: Collection[str]) -> Iterator[tuple[Path, str]]:
    """The tracks that `enroll` steps name but that are neither published nor part of this deploy."""
    for piece in pieces:
        if isinstance(piece.part, Enrolment) and piece.part.track not in known:
            words = f"there is no track '{piece.part.track}'" + meant(piece.part.track, sorted(known))
            yield (*piece.path, "track"), f"{words}; publish it before or in the same deploy"
