"""Publish documents together: all or none. A refusal names all errors at once.

Only one publishing runs at a time. Each valid document is stored at once, and later documents are checked against it.
If anything is wrong, `publish` raises and the caller's transaction must roll back.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.problems import FieldProblem, pointer
from api.resources.publishing import kept_events, segment_references
from audience.exclusions import exclusion_problems
from audience.retention import Need, needs_of_exclusions, needs_of_members, needs_of_score
from audience.scores import document as score_document
from audience.segments import document as segment_document
from audience.segments.score_names import missing_scores
from audience.segments.standings import cause
from store.engine.sql import utc_now
from store.published import date_segments, policies, publish_lock, segments, templates, tracks
from store.published import scores as published_scores
from store.published.entry_rules import dates_of
from store.published.scores import Existing as ExistingGrades
from store.published.segments import Existing
from tracks.checks.enrolled_tracks import missing_tracks
from tracks.checks.enrollment_loops import circle_problems, may_go_round
from tracks.checks.entered_segments import missing_segments
from tracks.checks.read_scores import unknown_scores
from tracks.checks.sales_teams import team_problems, teams_of
from tracks.checks.template_use import TemplateFacts, TemplateKey, check_template_use, keys_of, template_problems
from tracks.checks.topic_use import topic_problems, topics_of
from tracks.checks.track_document import Reading
from tracks.checks.track_texts import text_problems
from tracks.compiler.compiler import compile_track
from tracks.content.checks.template_check import check_template
from tracks.content.templates.shared_blocks import SharedKey, shared_keys, with_shared
from tracks.content.templates.template import Template, TemplateProblem, template_facts
from tracks.model.track import Track
from tracks.policy.workspace_policy import Policy, policy_to_data
from tracks.runs.history_bounds import program_problems
from tracks.runs.program import Compiled
from tracks.shared.differences import differences
from tracks.shared.problems import Problem
from tracks.shared.yaml_source import Path

_KNOWN_TEMPLATES = 1000


@dataclass(frozen=True)
class PolicyDocument:
    """A policy as far as it could be parsed."""

    source: str
    policy: Policy | None
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class TemplateDocument:
    """A template as far as it could be parsed. Its shared blocks are not inserted yet."""

    name: str
    source: str
    template: Template | None
    problems: tuple[TemplateProblem, ...] = ()


@dataclass(frozen=True)
class TrackDocument:
    """A track as far as it could be parsed."""

    name: str
    source: str
    reading: Reading
    compiled: Compiled | None

    @classmethod
    def read(cls, name: str, source: str, reading: Reading) -> TrackDocument:
        """Make the document, and compile the track if it is valid."""
        return cls(name, source, reading, compile_track(reading.track) if reading.track else None)


@dataclass(frozen=True)
class SegmentDocument:
    """A segment as far as it could be parsed."""

    name: str
    source: str
    reading: segment_document.Reading


@dataclass(frozen=True)
class ScoreDocument:
    """A score as far as it could be parsed."""

    name: str
    source: str
    reading: score_document.Reading


@dataclass(frozen=True)
class Done:
    """The result for a document: `version` is now the newest, `changes` are the differences of a policy."""

    kind: Literal["policy", "template", "score", "segment", "track"]
    name: str
    version: int
    created: bool
    changes: tuple[str, ...] = ()


class RefusedError(Exception):
    """The documents cannot be published. `errors` holds all errors of all documents."""

    def __init__(self, errors: Sequence[FieldProblem]) -> None:
        super().__init__(f"{len(errors)} problems")
        self.errors = list(errors)


@dataclass
class Publishing:
    """Publishes once, in a transaction that the caller ends. `inside` is true if the documents are part of a deploy.

    `dry_run`: the caller will roll the transaction back.
    """

    tx: AsyncConnection
    inside: bool = False
    dry_run: bool = False
    done: list[Done] = field(default_factory=list)
    errors: list[FieldProblem] = field(default_factory=list)
    _facts: dict[TemplateKey, TemplateFacts] = field(default_factory=dict)
    _unreadable: set[str] = field(default_factory=set)
    _refused: dict[str, Template] = field(default_factory=dict)
    _changed: list[tuple[str, Template, Template | None]] = field(default_factory=list)

    async def publish(
        self,
        *,
        policy: PolicyDocument | None = None,
        templates: Sequence[TemplateDocument] = (),
        segments: Sequence[SegmentDocument] = (),
        scores: Sequence[ScoreDocument] = (),
        tracks: Sequence[TrackDocument] = (),
        existing: Existing = "ignore",
        existing_grades: ExistingGrades = "ignore",
    ) -> list[Done]:
        """Check and store these documents. Raises RefusedError if any of them has an error.

        `existing`: whether those who are members of a new version of a segment at first are told as entering.
        `existing_grades`: whether those whose grade is another one by a new version of a score are told.
        """
        await publish_lock.take_turns(self.tx)
        rules = await self._policy(policy)
        self._unreadable = {template.name for template in templates if template.template is None}
        for template in sorted(templates, key=_blocks_first):
            await self._template(template)
        self._check_scores(scores)
        known_scores = await published_scores.names(self.tx) | {score.name for score in scores}
        self._check_segments(segments, known_scores)
        topics = None if rules is None else set(rules.topics)
        await self._check_references(segments, topics, {track.name for track in tracks})
        await self._tracks(tracks, rules, {segment.name for segment in segments}, known_scores)
        brought = {track.name for track in tracks}
        if policy is not None and policy.policy is not None:
            self._tell("policy", await self._parts_missed(policy.policy, brought))
            await self._check_policy_keeps(policy.policy, segments, scores, brought)
        if rules is not None:
            await self._check_kept_events(rules, segments, scores, tracks)
        for name, now, before in self._changed:
            await self._break_nothing(name, now, before, brought)
        if self.errors:
            raise RefusedError(self.errors)
        await self._segments(segments, existing)
        await self._scores(scores, existing_grades)
        if tracks:
            read = [track.reading.track for track in tracks if track.reading.track is not None]
            dates = [date for track in read for date in dates_of(track)]
            await date_segments.keep(self.tx, dates, fence=not self.dry_run)
        return self.done

    async def _check_policy_keeps(
        self,
        policy: Policy,
        segments: Sequence[SegmentDocument],
        scores: Sequence[ScoreDocument],
        brought_tracks: set[str],
    ) -> None:
        """Report what is published already and reads events that this policy would delete."""
        replaced = {
            "segment": {document.name for document in segments},
            "score": {document.name for document in scores},
            "track": brought_tracks,
        }
        found = await kept_events.policy_problems(self.tx, policy, replaced)
        self._tell("policy", [Problem("policy", 0, "", words) for words in found])

    async def _check_kept_events(
        self,
        rules: Policy,
        segments: Sequence[SegmentDocument],
        scores: Sequence[ScoreDocument],
        tracks: Sequence[TrackDocument],
    ) -> None:
        """Report documents that read events which are not kept for so long."""
        asked: list[tuple[str, str, Iterable[Need]]] = []
        for segment in segments:
            if segment.reading.segment is not None:
                asked.append(("segments", segment.name, needs_of_members(segment.reading.segment.members)))
        for score in scores:
            if score.reading.score is not None:
                asked.append(("scores", score.name, needs_of_score(score.reading.score)))
        for track in tracks:
            if track.reading.track is not None:
                asked.append(("tracks", track.name, needs_of_exclusions(track.reading.source.data)))
        for part, name, needs in asked:
            found = await kept_events.problems_of(self.tx, needs, rules.retention.events, utc_now())
            self.errors += track_errors([Problem("", 0, "", words) for words in found], self._at(part, name))

    def _check_scores(self, documents: Sequence[ScoreDocument]) -> None:
        for document in documents:
            at = self._at("scores", document.name)
            self.errors += track_errors(document.reading.problems, at)
            read = document.reading.score
            if read is not None and read.score != document.name:
                words = f"The document says `score: {read.score}`, the address says {document.name}."
                self.errors.append(FieldProblem(detail=words, pointer=pointer([*at, "score"])))

    def _check_segments(self, documents: Sequence[SegmentDocument], known_scores: set[str]) -> None:
        for document in documents:
            at, source = self._at("segments", document.name), document.reading.source
            self.errors += track_errors(document.reading.problems, at)
            missing = missing_scores(source.data, known_scores)
            self.errors += track_errors([Problem("", source.line(path), "", words) for path, words in missing], at)
            read = document.reading.segment
            if read is not None and read.segment != document.name:
                words = f"The document says `segment: {read.segment}`, the address says {document.name}."
                self.errors.append(FieldProblem(detail=words, pointer=pointer([*at, "segment"])))

    async def _check_references(
        self, documents: Sequence[SegmentDocument], topics: set[str] | None, brought_tracks: set[str]
    ) -> None:
        readings = {document.name: document.reading for document in documents}
        found = await segment_references.problems_of(self.tx, readings, topics=topics, brought_tracks=brought_tracks)
        for name, problems in found.items():
            self.errors += track_errors(problems, self._at("segments", name))

    async def _scores(self, documents: Sequence[ScoreDocument], existing: ExistingGrades) -> None:
        """Publish the scores, for the same reason last: after the segments, whose lock comes first everywhere."""
        for document in documents:
            read, data = document.reading.score, document.reading.source.data
            assert read is not None
            published = await published_scores.publish(
                self.tx, read, document.source, data, existing=existing, fence=not self.dry_run
            )
            self.done.append(Done("score", document.name, published.version, published.created))

    async def _segments(self, documents: Sequence[SegmentDocument], existing: Existing) -> None:
        """Publish the segments. This holds up the storing of events, so it comes last."""
        for document in documents:
            read, data = document.reading.segment, document.reading.source.data
            assert read is not None
            published = await segments.publish(
                self.tx, read, document.source, data, existing=existing, fence=not self.dry_run
            )
            self.done.append(Done("segment", document.name, published.version, published.created))

    async def _policy(self, document: PolicyDocument | None) -> Policy | None:
        """The policy whose topics and teams tracks may name; None if they are unknown because it is invalid."""
        before = await policies.current(self.tx)
        if document is None:
            return before.policy
        self._tell("policy", document.problems)
        if document.policy is None:
            return None
        published = await policies.publish(self.tx, document.policy, document.source)
        if published.created:
            await segments.revisit(self.tx, cause("reach"), utc_now())
        changes = differences(policy_to_data(before.policy), policy_to_data(document.policy))
        told = tuple(changes) if before.version else ()
        self.done.append(Done("policy", "policy", published.version, published.created, told))
        return document.policy

    async def _template(self, document: TemplateDocument) -> None:
        problems = list(document.problems)
        shared, version = document.template, None
        if shared is not None:
            shared, missing = await self._with_blocks(shared)
            problems += missing
        if shared is not None and not problems:
            problems += await asyncio.to_thread(check_template, shared)
        self.errors += template_errors(problems, self._at("templates", document.name))
        if shared is None:
            self._unreadable.add(document.name)
            return
        self._facts[document.name, None] = template_facts(shared)
        newest = await templates.get(self.tx, document.name)
        before = Template.model_validate(newest.data) if newest else None
        if not problems:
            version = await templates.publish(
                self.tx, document.name, shared.kind, document.source, shared.model_dump(mode="json")
            )
            self.done.append(Done("template", document.name, version.version, version.created))
            self._facts[document.name, version.version] = template_facts(shared)
        else:
            self._refused[document.name] = shared
        if version is None or version.created:
            self._changed.append((document.name, shared, before))

    async def _with_blocks(self, template: Template) -> tuple[Template | None, list[TemplateProblem]]:
        """The template with its shared blocks; None if this deploy holds one of these blocks and it is invalid."""
        wanted = shared_keys(template)
        if any(name in self._unreadable for name, _ in wanted):
            return None, []
        known: dict[SharedKey, tuple[int, Template]] = {}
        for key in wanted:
            if key[1] is None and key[0] in self._refused:
                known[key] = (0, self._refused[key[0]])
            elif found := await templates.get(self.tx, *key):
                known[key] = (found.version, Template.model_validate(found.data))
        shared, problems = with_shared(template, known)
        return (None if problems else shared), problems

    async def _tracks(
        self,
        documents: Sequence[TrackDocument],
        policy: Policy | None,
        brought_segments: set[str],
        known_scores: set[str],
    ) -> None:
        known_segments = await segments.names(self.tx) | brought_segments if documents else set()
        facts = await self._known_templates(documents) if documents else {}
        known = await tracks.names(self.tx) | {document.name for document in documents}
        for document in documents:
            reading = document.reading
            found = list(reading.problems)
            found += reading.at(text_problems(reading.pieces))
            found += reading.at(template_problems(reading.pieces, facts, self._unreadable))
            found += reading.at(missing_tracks(reading.pieces, known))
            found += reading.at(missing_segments(reading.source.data, known_segments))
            found += reading.at(unknown_scores(reading.source.data, known_scores))
            found += reading.at(_exclusion_problems(reading.source.data))
            if document.compiled is not None:
                found += program_problems(document.compiled.program, document.name)
            if policy is not None:
                found += reading.at(topic_problems(reading.source.data, reading.pieces, policy.topics))
                found += reading.at(team_problems(reading.pieces, policy.sales.teams))
            at = self._at("tracks", document.name)
            self.errors += track_errors(sorted(set(found)), at)
            data = reading.source.data
            own = data.get("track") if isinstance(data, Mapping) else None
            if isinstance(own, str) and own != document.name:
                words = f"The document says `track: {own}`, the address says {document.name}."
                self.errors.append(FieldProblem(detail=words, pointer=pointer([*at, "track"])))
            elif reading.track and document.compiled and not found:
                published = await tracks.publish(self.tx, reading.track, document.compiled, document.source)
                self.done.append(Done("track", document.name, published.version, published.created))

        await self._circles(documents)

    async def _circles(self, documents: Sequence[TrackDocument]) -> None:
        """Report tracks that, with these new versions, enrol each other without a pause."""
        read = {document.name: document.reading.track for document in documents if document.reading.track}
        if not any(may_go_round(track) for track in read.values()):
            return
        newest = {name: track async for name, track in self._newest_tracks()} | read
        for document in documents:
            if document.name in read:
                found = document.reading.at(circle_problems(document.name, newest))
                self.errors += track_errors(found, self._at("tracks", document.name))

    async def _known_templates(self, documents: Sequence[TrackDocument]) -> dict[TemplateKey, TemplateFacts]:
        """The newest version of each template, and those that the tracks pin."""
        stored = await templates.list_all(self.tx, limit=_KNOWN_TEMPLATES)
        facts: dict[TemplateKey, TemplateFacts] = {(one.name, None): _facts_of(one) for one in stored}
        for name, version in {key for document in documents for key in keys_of(document.reading.pieces)}:
            if (name, version) not in facts and (pinned := await templates.get(self.tx, name, version)):
                facts[name, version] = _facts_of(pinned)
        return facts | self._facts

    async def _parts_missed(self, policy: Policy, brought: set[str]) -> list[Problem]:
        """Problems for topics and teams that tracks outside this deploy use and that this policy does not have."""
        problems: list[Problem] = []
        async for name, track in self._newest_tracks():
            if name in brought:
                continue
            for team in sorted(teams_of(track) - set(policy.sales.teams)):
                words = f"sales.teams: '{team}' is missing; the track {name} hands leads over to it"
                problems.append(Problem("policy", 0, "", words))
            for topic in sorted(topics_of(track) - set(policy.topics)):
                words = f"topics: '{topic}' is missing; the track {name} sends messages about it"
                problems.append(Problem("policy", 0, "", words))
        return problems

    async def _newest_tracks(self) -> AsyncIterator[tuple[str, Track]]:
        """The newest version of every track with its name, including those of this deploy."""
        after = ""
        while page := await tracks.list_all(self.tx, after=after, limit=100):
            for one in page:
                yield one.name, (await tracks.pinned(self.tx, one.name, one.latest)).track
            after = page[-1].name

    async def _break_nothing(self, name: str, now: Template, before: Template | None, brought: set[str]) -> None:
        """Report tracks in use that fit the template's previous version but not the new one."""
        facts, known = template_facts(now), template_facts(before) if before else None
        judged = {(done.name, done.version) for done in self.done if done.kind == "track"}
        for used in await tracks.in_use_with(self.tx, name):
            if (used.track, used.version) in judged or (used.track in brought and not used.live):
                continue  # checked with its track, or about to be replaced
            stored = await tracks.pinned(self.tx, used.track, used.version)
            standing = set(check_template_use(stored.track, name, known)) if known else set()
            self.errors += [
                FieldProblem(
                    detail=f"track {used.track} version {used.version}, step {step}: {said}",
                    step=step,
                    pointer=self._pointer(self._at("templates", name)),
                )
                for step, said in check_template_use(stored.track, name, facts)
                if (step, said) not in standing
            ]

    def _tell(self, part: str, problems: Iterable[Problem]) -> None:
        self.errors += track_errors(problems, self._at(part))

    def _at(self, *place: str) -> list[str]:
        return list(place) if self.inside else []

    def _pointer(self, at: Sequence[str]) -> str | None:
        return pointer(at) if at else None


def track_errors(problems: Iterable[Problem], at: Sequence[str] = ()) -> Iterator[FieldProblem]:
    """Convert the problems of a track or a policy. `at` is its place in a deploy."""
    for one in problems:
        where = pointer(at) if at else None
        yield FieldProblem(detail=one.message, line=one.line or None, step=one.step or None, pointer=where)


def template_errors(problems: Iterable[TemplateProblem], at: Sequence[str] = ()) -> Iterator[FieldProblem]:
    """Convert the problems of a template: `pointer` names the variant, `line` is a line of its file."""
    for one in problems:
        place = [*at, *(["locales", one.locale] if one.locale else [])]
        yield FieldProblem(
            detail=f"locale {one.locale}: {one.message}" if one.locale else one.message,
            pointer=pointer(place) if place else None,
            line=one.line or None,
        )


def _exclusion_problems(data: Any) -> Iterator[tuple[Path, str]]:
    return exclusion_problems(data.get("unless") if isinstance(data, Mapping) else None, ("unless",))


def _blocks_first(document: TemplateDocument) -> tuple[bool, str]:
    return document.template is None or document.template.kind != "block", document.name


def _facts_of(stored: templates.TemplateVersion) -> TemplateFacts:
    return template_facts(Template.model_validate(stored.data))
