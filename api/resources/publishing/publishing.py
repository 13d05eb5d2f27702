"""Publish documents together: all or none. A refusal names all errors at once.

Only one publishing runs at a time. Each valid document is stored at once, and later documents are checked against it.
If anything is wrong, `publish` raises and the caller's transaction must roll back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy.ext.asyncio import AsyncConnection

from api.http.problems import FieldProblem, pointer
from api.resources.publishing.checks import kept_events, segment_references, stored_tracks, track_problems
from api.resources.publishing.checks.known_audience import KnownAudience
from api.resources.publishing.document_errors import RefusedError, template_errors, track_errors
from api.resources.publishing.documents import (
    Done,
    PolicyDocument,
    ScoreDocument,
    SegmentDocument,
    TemplateDocument,
    TrackDocument,
)
from audience.segments.leaves.standings import cause
from audience.segments.score_names import missing_scores
from store.engine.sql import utc_now
from store.published import date_segments, policies, publish_lock, segments, templates, tracks
from store.published import scores as published_scores
from store.published.entry_rules import dates_of
from store.published.scores import Existing as ExistingGrades
from store.published.segments import Existing
from tracks.checks.attribute_loops import causes_of
from tracks.checks.enrollment_loops import circle_problems, may_go_round
from tracks.checks.entered_grades import named_scores
from tracks.checks.references.template_use import (
    TemplateFacts,
    TemplateKey,
)
from tracks.content.checks.template_check import check_template
from tracks.content.templates.shared_blocks import SharedKey, shared_keys, with_shared
from tracks.content.templates.template import Template, TemplateProblem, template_facts
from tracks.policy.workspace_policy import Policy, policy_to_data
from tracks.shared.differences import differences
from tracks.shared.problems import Problem


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
    _audience: KnownAudience = field(init=False)

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
        self._audience = KnownAudience(
            self.tx,
            {segment.name: segment.reading.segment for segment in segments},
            {score.name: score.reading.score for score in scores},
        )
        await self._tracks(tracks, rules, {segment.name for segment in segments}, known_scores)
        brought = {track.name for track in tracks}
        if policy is not None and policy.policy is not None:
            self._tell("policy", await stored_tracks.parts_missed(self.tx, policy.policy, brought))
            brought_names = {
                "segment": {one.name for one in segments},
                "score": {one.name for one in scores},
                "track": brought,
            }
            unkept = await kept_events.policy_problems(self.tx, policy.policy, brought_names)
            self._tell("policy", [Problem("policy", 0, "", words) for words in unkept])
        if rules is not None:
            for part, name, needs in kept_events.needs_of_documents(segments, scores, tracks):
                found = await kept_events.problems_of(self.tx, needs, rules.retention.events, utc_now())
                self.errors += track_errors([Problem("", 0, "", words) for words in found], self._at(part, name))
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
        if not documents:
            return
        named = {name for document in documents for name in named_scores(document.reading.source.data)}
        known = track_problems.Known(
            tracks=await tracks.names(self.tx) | {document.name for document in documents},
            segments=await segments.names(self.tx) | brought_segments,
            scores=known_scores,
            grades=await self._audience.grades(named),
            templates=await track_problems.known_templates(self.tx, documents) | self._facts,
            unreadable=self._unreadable,
            policy=policy,
        )
        for document in documents:
            reading = document.reading
            found = track_problems.problems_of(document, known)
            at = self._at("tracks", document.name)
            self.errors += track_errors(found, at)
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
        newest = {name: track async for name, track in stored_tracks.newest(self.tx)} | read
        reads = await self._audience.reads({cause for track in newest.values() for cause in causes_of(track)})
        for document in documents:
            if document.name in read:
                found = document.reading.at(circle_problems(document.name, newest, reads))
                self.errors += track_errors(found, self._at("tracks", document.name))

    async def _break_nothing(self, name: str, now: Template, before: Template | None, brought: set[str]) -> None:
        """Report tracks in use that fit the template's previous version but not the new one."""
        judged = {(done.name, done.version) for done in self.done if done.kind == "track"}
        found = await stored_tracks.broken_by(self.tx, name, now, before, judged=judged, brought=brought)
        where = self._pointer(self._at("templates", name))
        self.errors += [FieldProblem(detail=one.message, step=one.step, pointer=where) for one in found]

    def _tell(self, part: str, problems: Iterable[Problem]) -> None:
        self.errors += track_errors(problems, self._at(part))

    def _at(self, *place: str) -> list[str]:
        return list(place) if self.inside else []

    def _pointer(self, at: Sequence[str]) -> str | None:
        return pointer(at) if at else None


def _blocks_first(document: TemplateDocument) -> tuple[bool, str]:
    return document.template is None or document.template.kind != "block", document.name
