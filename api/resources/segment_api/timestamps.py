"""When an item of Segment's API happened, by our clock."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from api.http import fields
from api.http.problems import FieldProblem, pointer


@dataclass(frozen=True, slots=True)
class Sent:
    """When a batch arrived by our clock, and when it was sent by the device's clock (the batch's `sentAt`)."""

    received: datetime
    sent_at: Any = None


def moment_of(
    item: dict[str, Any], sent: Sent, at: tuple[str | int, ...], errors: list[FieldProblem]
) -> tuple[datetime, list[FieldProblem]]:
    """When the event happened by our clock, and the problems of the timestamps.

    A device's clock may be wrong by seconds or years, but it is wrong by the same amount when it sends. So a timestamp
    is shifted by the error of `sentAt`. A `timestamp` beside an `originalTimestamp` or a `receivedAt` has been shifted
    before: such an item comes from a collector in between.
    https://segment.com/docs/connections/spec/common/#timestamps
    """
    name = "timestamp" if item.get("timestamp") is not None else "originalTimestamp"
    if item.get(name) is None:
        return sent.received, []
    try:
        moment = _time(item[name])
    except ValueError:
        errors.append(FieldProblem(detail="must be an ISO 8601 time since 1970", pointer=pointer((*at, name))))
        return sent.received, []
    doubts: list[FieldProblem] = []
    shifted = moment
    collected = name == "timestamp" and (item.get("originalTimestamp") is not None or "receivedAt" in item)
    place, sent_at = (
        ((*at, "sentAt"), item["sentAt"]) if item.get("sentAt") is not None else (("sentAt",), sent.sent_at)
    )
    if sent_at is not None and not collected:
        try:
            shifted = min(moment + (sent.received - _time(sent_at)), sent.received)
        except ValueError:
            detail = "must be an ISO 8601 time; the clock that it was sent by is taken as right"
            doubts.append(FieldProblem(detail=detail, pointer=pointer(place)))
        except OverflowError:
            pass
    for candidate in (shifted, moment):  # if the shifted time is before 1970, sentAt was of another clock
        try:
            return fields.check_moment(candidate), doubts
        except ValueError:
            continue
    errors.append(FieldProblem(detail="must be an ISO 8601 time since 1970", pointer=pointer((*at, name))))
    return sent.received, []


def _time(value: Any) -> datetime:
    """Parse an ISO 8601 time; without a zone it is UTC. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("not a text")
    moment = datetime.fromisoformat(value)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except OverflowError:
        raise ValueError("out of range") from None
