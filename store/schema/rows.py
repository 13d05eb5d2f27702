"""The rows that several parts of the store return (contact, enrollment), and their form in conditions."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, cast

from sqlalchemy import RowMapping

from audience.scores.points.course import course_from_data
from tracks.model.values import Channel as Channel
from tracks.shared.run_clock import Clock

_SEGMENTS = """ARRAY(
    SELECT m.segment FROM membership m JOIN segment s ON s.name = m.segment AND s.live = m.version
    WHERE m.contact_id = {table}.id AND m.member ORDER BY m.segment COLLATE "C"
)"""
_SCORES = """(
    SELECT jsonb_object_agg(v.score, jsonb_build_object('grade', v.grade, 'course', v.course - 'tally'))
    FROM score_value v JOIN score s ON s.name = v.score AND s.live = v.version
    WHERE v.contact_id = {table}.id
)"""
EnrollmentStatus = Literal["active", "completed", "converted", "exited"]


@dataclass(frozen=True, slots=True)
class Contact:
    """A person; times are UTC. `timezone` is an IANA name or absent."""

    id: str
    email: str | None = None
    phone: str | None = None
    timezone: str | None = None
    locale: str | None = None
    attributes: Mapping[str, Any] | None = None
    paused_until: datetime | None = None
    """No promotional messages until then (real time), at the contact's own request."""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    segments: Sequence[str] = field(default=(), metadata={"sql": _SEGMENTS, "empty": "CAST('{}' AS text[])"})
    """The names of the segments that the contact is a member of, in order."""
    scores: Mapping[str, Any] | None = field(default=None, metadata={"sql": _SCORES, "empty": "CAST(NULL AS jsonb)"})
    """By each score that counts: the grade, and the course of the value."""

    def address(self, channel: Channel) -> str | None:
        """The email address or the phone number."""
        return (self.email if channel == "email" else self.phone) or None

    def view(self) -> dict[str, Any]:
        """The variable `contact` in conditions: no address, only whether there is one."""
        return {
            "id": self.id,
            "timezone": self.timezone,
            "locale": self.locale,
            "attributes": self.attributes or {},
            "has_email": bool(self.email),
            "has_phone": bool(self.phone),
            "segments": list(self.segments),
            "scores": self.scores_at(),
        }

    def scores_at(self, now: datetime | None = None) -> dict[str, dict[str, Any]]:
        """By each score: the value at a moment (None: at this one) and the grade, as conditions and templates see
        them."""
        if not self.scores:
            return {}
        moment = now or datetime.now(UTC)
        return {
            name: {"value": course_from_data(one["course"]).value_at(moment), "grade": one["grade"]}
            for name, one in self.scores.items()
        }


class Pinned(Protocol):
    """Anything that is pinned to a version of a track: an enrollment, or the part of it that is known."""

    @property
    def track(self) -> str: ...

    @property
    def version(self) -> int: ...


class Pin(NamedTuple):
    """A version of a track."""

    track: str
    version: int


@dataclass(frozen=True, slots=True)
class Enrollment:
    """One run of one contact in one track version. All times are real and in UTC, except those on its clock."""

    id: str
    track: str
    version: int
    contact_id: str
    key: str
    workflow_id: str
    status: EnrollmentStatus
    properties: Mapping[str, Any]
    pace: float
    origin: datetime
    step: str | None
    created_at: datetime
    started_at: datetime | None
    goal_reached_at: datetime | None
    exit_reached_at: datetime | None
    ended_at: datetime | None
    end_reason: str | None
    counts: Mapping[str, Any]
    entry: str | None = None
    """The name of the track's entry that began it; None if it was begun through the API, an import or a step."""

    @property
    def clock(self) -> Clock:
        """The run's clock."""
        return Clock.of(self.origin, self.pace)

    @property
    def over(self) -> str | None:
        """Why nothing more may be done for this enrollment: `ended`, `goal` or `exit`; None if it is live."""
        if self.ended_at is not None:
            return "ended"
        if self.goal_reached_at is not None:
            return "goal"
        return "exit" if self.exit_reached_at is not None else None

    def view(self, steps: Mapping[str, str] | None = None) -> dict[str, Any]:
        """The variable `enrollment` in conditions."""
        return {
            "id": self.id,
            "track": self.track,
            "version": self.version,
            **({"entry": self.entry} if self.entry is not None else {}),
            "properties": self.properties,
            "steps": dict(steps or {}),
        }


@dataclass(frozen=True, slots=True)
class Run:
    """An enrollment with its contact; the contact is None after its erasure."""

    enrollment: Enrollment
    contact: Contact | None


_Row = TypeVar("_Row")


@lru_cache
def _fields(kind: Hashable) -> tuple[tuple[str, str, str], ...]:
    """Each field's name, the SQL that computes it (empty for a column), and the SQL of its empty value."""
    return tuple(
        (one.name, one.metadata.get("sql", ""), one.metadata.get("empty", "")) for one in fields(cast(Any, kind))
    )


def read_row(kind: type[_Row], row: RowMapping, prefix: str = "") -> _Row:
    """Build a dataclass from the columns with the names of its fields (with a prefix, where two are joined)."""
    return kind(**{name: row[prefix + name] for name, _, _ in _fields(cast(Hashable, kind))})


def columns(kind: type[Any], table: str, prefix: str = "", *, computed: bool = True) -> str:
    """The SQL select list for `read_row`. Without `computed`, what is no column is empty, which costs nothing."""
    found = [
        (name, (sql.format(table=table) if computed else empty) or f"{table}.{name}")
        for name, sql, empty in _fields(cast(Hashable, kind))
    ]
    return ", ".join(f"{sql} AS {prefix}{name}" for name, sql in found)


def computed(kind: type[Any], name: str, table: str) -> str:
    """The SQL of one computed field, for a select list."""
    return next(
        f"{sql.format(table=table)} AS {name}" for field, sql, _ in _fields(cast(Hashable, kind)) if field == name
    )
