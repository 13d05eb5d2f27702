"""Read HubSpot's webhooks: https://developers.hubspot.com/docs/api-reference/legacy/webhooks/guide.

Both forms are read: subscriptions of contacts (`contact.propertyChange`) and generic ones (`object.propertyChange` with
the type of the object). No name and no address is read but a changed one, which tells whose contact it is.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from api.http.fields import SLUG
from store.people.hubspot.hubspot_change import COMPLETED, Change, Merge, Moment
from tracks.contacts.contact_fields import storable_text

CONTACTS, TASKS = "0-1", "0-27"
"""HubSpot's ids of the types of objects."""
TASK_STATUS = "hs_task_status"
LONGEST_VALUE, LONGEST_NAME = 10_000, 200
_OUTCOME = re.compile(f"({SLUG[1:-1]})(:({SLUG[1:-1]}))?")
_LATEST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


@dataclass(slots=True)
class Batch:
    """What a call says; `unused` counts by reason what is not used."""

    changes: defaultdict[str, list[Change]] = field(default_factory=lambda: defaultdict(list))
    """Changed properties by the object's id."""
    completed: list[Change] = field(default_factory=list)
    """Tasks that were completed, or of which somebody said what came of them; those first."""
    deleted: dict[str, Moment] = field(default_factory=dict)
    erased: list[str] = field(default_factory=list)
    """Contacts that were deleted for good, as the person wished."""
    merges: list[Merge] = field(default_factory=list)
    unused: Counter[str] = field(default_factory=Counter)


def read(said: Any, app_id: str, outcome_property: str) -> Batch:
    """What the events of a call say. `app_id` is the app by which Perennial writes; if empty, it is the one that sends.

    `outcome_property` is the property of tasks that says what came of one. Anything that is no event of a kind that is
    used is counted as `not-used`.
    """
    batch = Batch()
    for one in said if isinstance(said, list) else [said]:
        if not isinstance(one, Mapping) or not _read(one, app_id, outcome_property, batch):
            batch.unused["not-used"] += 1
    batch.completed.sort(key=lambda one: one.outcome is None)  # after its outcome a completion says nothing new
    return batch


def _read(one: Mapping[str, Any], app_id: str, outcome_property: str, batch: Batch) -> bool:
    subject, _, what = str(one.get("subscriptionType")).partition(".")
    subject = {"contact": CONTACTS, "task": TASKS}.get(subject, str(one.get("objectTypeId")))
    object_id = _id(one.get("objectId"))
    if subject == CONTACTS and what == "merge":
        return _merge(one, batch)
    if subject == CONTACTS and what == "privacyDeletion" and object_id:
        batch.erased.append(object_id)
        return True
    moment = _moment(one, object_id)
    if object_id is None or moment is None:
        return False
    if subject == CONTACTS and what == "deletion":
        batch.deleted[object_id] = moment
        return True
    name, value = _text(one.get("propertyName"), LONGEST_NAME), one.get("propertyValue")
    if what != "propertyChange" or name is None:
        return False
    written = "" if value is None else storable_text(str(value))
    if len(written) > LONGEST_VALUE:
        batch.unused["too-large"] += 1
        return True
    change = Change(moment, object_id, name, written or None, _is_own(one, app_id))
    if subject == CONTACTS:
        batch.changes[object_id].append(change)
        return True
    if subject != TASKS:
        return False
    if name == TASK_STATUS and written == COMPLETED and change.own:
        batch.unused["own"] += 1  # the answer that completed it came by another way, and is known
        return True
    if (name == TASK_STATUS and written == COMPLETED) or (name == outcome_property and _OUTCOME.fullmatch(written)):
        batch.completed.append(Change(moment, object_id, name, written, kind="task"))
        return True
    return False


def _merge(one: Mapping[str, Any], batch: Batch) -> bool:
    """The contact that is left is the new one, if the merge made one."""
    primary = _id(one.get("primaryObjectId"))
    into = _id(one.get("newObjectId")) or primary or _id(one.get("objectId"))
    if into is None:
        return False
    merged = one.get("mergedObjectIds")
    others = [primary, *map(_id, merged[:100] if isinstance(merged, list) else [])]
    batch.merges.append(Merge(into, tuple(dict.fromkeys(other for other in others if other and other != into))))
    return True


def _moment(one: Mapping[str, Any], object_id: str | None) -> Moment | None:
    """The place of the event. HubSpot does not promise that an event's id is unique, so more goes into ours."""
    at, parts = one.get("occurredAt"), [_id(one.get(name)) for name in ("subscriptionId", "eventId")]
    if not isinstance(at, int) or isinstance(at, bool) or not 0 <= at <= _LATEST or None in parts:
        return None
    occurred = datetime.fromtimestamp(at // 1000, UTC).replace(microsecond=at % 1000 * 1000)
    return Moment(occurred, ":".join(["hubspot", *map(str, parts), str(object_id), str(at)]))


def _is_own(one: Mapping[str, Any], app_id: str) -> bool:
    ours = app_id or _id(one.get("appId"))
    return ours is not None and one.get("changeSource") == "INTEGRATION" and _id(one.get("sourceId")) == ours


def _id(value: Any) -> str | None:
    """An id, which is a number or a text of at most 30 digits and letters."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not 0 < len(value) <= 30:
        return None
    return value if value.isascii() and value.isalnum() else None


def _text(value: Any, longest: int) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= longest and value.isprintable() else None
