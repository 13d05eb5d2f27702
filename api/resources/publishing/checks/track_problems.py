"""All that is wrong with a track's document, as far as it can be read, beside what is published."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from api.resources.publishing.documents import TrackDocument
from audience.exclusions import exclusion_problems
from store.published import templates
from tracks.checks.entered_grades import grade_problems
from tracks.checks.references.enrolled_tracks import missing_tracks
from tracks.checks.references.entered_segments import missing_segments
from tracks.checks.references.read_scores import unknown_scores
from tracks.checks.references.sales_teams import needed_scores, team_problems
from tracks.checks.references.template_use import TemplateFacts, TemplateKey, keys_of, template_problems
from tracks.checks.references.topic_use import topic_problems
from tracks.checks.track_texts import text_problems
from tracks.content.templates.template import Template, template_facts
from tracks.policy.workspace_policy import Policy
from tracks.runs.history_bounds import program_problems
from tracks.shared.problems import Problem

_KNOWN_TEMPLATES = 1000


@dataclass(frozen=True)
class Known:
    """What a track may name: what is published, and what is published together with it."""

    tracks: set[str]
    segments: set[str]
    scores: set[str]
    grades: Mapping[str, Sequence[str]]
    """By the scores without mistakes that the tracks name, the lowest grade first."""
    templates: Mapping[TemplateKey, TemplateFacts]
    unreadable: set[str]
    """Templates that come together with the track and cannot be read: what the track needs of them is unknown."""
    policy: Policy | None
    """None if it is unknown, because the one that comes together with the track is invalid."""


def problems_of(document: TrackDocument, known: Known) -> list[Problem]:
    """Every problem of the track, in order."""
    reading = document.reading
    data = reading.source.data
    found = list(reading.problems)
    found += reading.at(text_problems(reading.pieces))
    found += reading.at(template_problems(reading.pieces, known.templates, known.unreadable))
    found += reading.at(missing_tracks(reading.pieces, known.tracks))
    found += reading.at(missing_segments(data, known.segments))
    found += reading.at(unknown_scores(data, known.scores))
    found += reading.at(needed_scores(reading.pieces, known.scores))
    found += reading.at(grade_problems(data, known.scores, known.grades))
    found += reading.at(exclusion_problems(data.get("unless") if isinstance(data, Mapping) else None, ("unless",)))
    if document.compiled is not None:
        found += program_problems(document.compiled.program, document.name)
    if known.policy is not None:
        found += reading.at(topic_problems(data, reading.pieces, known.policy.topics))
        found += reading.at(team_problems(reading.pieces, known.policy.sales.teams))
    return sorted(set(found))


async def known_templates(tx: AsyncConnection, documents: Sequence[TrackDocument]) -> dict[TemplateKey, TemplateFacts]:
    """What tracks need to know of the newest version of each template, and of those that these tracks pin."""
    stored = await templates.list_all(tx, limit=_KNOWN_TEMPLATES)
    facts: dict[TemplateKey, TemplateFacts] = {(one.name, None): _facts_of(one) for one in stored}
    pinned: Collection[TemplateKey] = {key for document in documents for key in keys_of(document.reading.pieces)}
    for name, version in pinned:
        if (name, version) not in facts and (found := await templates.get(tx, name, version)):
            facts[name, version] = _facts_of(found)
    return facts


def _facts_of(stored: templates.TemplateVersion) -> TemplateFacts:
    return template_facts(Template.model_validate(stored.data))
