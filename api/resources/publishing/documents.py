"""Documents to publish, as far as they could be parsed; and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from audience.scores import document as score_document
from audience.segments import document as segment_document
from tracks.checks.track_document import Reading
from tracks.compiler.compiler import compile_track
from tracks.content.templates.template import Template, TemplateProblem
from tracks.policy.workspace_policy import Policy
from tracks.runs.program import Compiled
from tracks.shared.problems import Problem


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
