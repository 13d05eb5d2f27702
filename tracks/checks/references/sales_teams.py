"""Check that there are the sales teams that a track hands leads over to, and the scores that it asks of leads."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tracks.model.steps.effects import Lead
from tracks.model.steps.steps import HandoffStep
from tracks.model.track import Track
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path
from tracks.static_analysis.effect_parts import EffectPart


def teams_of(track: Track) -> set[str]:
    """Every team that the track hands leads over to."""
    return {step.handoff.to for step in track.walk() if isinstance(step, HandoffStep)}


def team_problems(pieces: Iterable[EffectPart], known: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Teams that the policy does not have: nobody would take their leads."""
    teams = list(known)
    for piece in pieces:
        if isinstance(piece.part, Lead) and piece.part.to not in teams:
            words = f"there is no team '{piece.part.to}' in the policy's sales" + meant(piece.part.to, teams)
            yield (*piece.path, "to"), words


def needed_scores(pieces: Iterable[EffectPart], known: Iterable[str]) -> Iterator[tuple[Path, str]]:
    """Scores that leads need a grade of, but that are neither published nor part of this deploy."""
    scores = sorted(known)
    for piece in pieces:
        needs = piece.part.needs if isinstance(piece.part, Lead) else None
        if needs is not None and needs.score not in scores:
            words = f"there is no score '{needs.score}'" + meant(needs.score, scores)
            yield (*piece.path, "needs", "score"), f"{words}; publish it before or in the same deploy"
