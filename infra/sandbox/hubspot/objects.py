"""The objects of a HubSpot portal and their associations."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.sandbox.core.journal import Entry, Journal, Place
from infra.sandbox.core.mailbox import iso

TYPES = ("contacts", "notes", "tasks")
Properties = dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Source:
    """Who changes something: HubSpot's word for it, and the id of the person or the app."""

    kind: str
    id: str


API = Source("INTEGRATION", "54321")
"""The app whose token the API is called with."""
Watcher = Callable[[str, str, Properties, Properties, Source], None]
"""Gets type and id of a changed object, its properties before, those that were written, and who wrote them."""


class HubSpotStore:
    """Contacts, notes and tasks by id. Ids are numbers counted up over all types."""

    def __init__(self, book: Journal) -> None:
        self._book = book
        self._objects: dict[str, dict[str, dict[str, Any]]] = {name: {} for name in TYPES}
        self._associations: defaultdict[tuple[str, str], list[tuple[str, str, int]]] = defaultdict(list)
        self._last = 100
        self._watchers: list[Watcher] = []
        book.subscribe("hubspot", self._apply)
        book.subscribe("hubspot-archived", self._apply_archived)
        book.subscribe("hubspot-association", self._apply_association)
        book.subscribe("reset", self._reset)

    def watch(self, watcher: Watcher) -> None:
        """Call this after each change."""
        self._watchers.append(watcher)

    def everything(self) -> dict[str, Any]:
        """All objects by type, each with its associations."""
        return {
            type_: [
                {**item, "associations": [f"{to_type}/{to_id}" for to_type, to_id, _ in self._associations[type_, key]]}
                for key, item in items.items()
            ]
            for type_, items in self._objects.items()
        }

    def all(self, type_: str) -> list[dict[str, Any]]:
        """The objects of one type, oldest first."""
        return list(self._objects[type_].values())

    def get(self, type_: str, key: str) -> dict[str, Any] | None:
        """One object as HubSpot shows it."""
        return self._objects[type_].get(key)

    def associations(self, type_: str, key: str) -> list[tuple[str, str, int]]:
        """An object's associations: type, id, number of the association's type."""
        return self._associations[type_, key]

    def create(self, type_: str, properties: Properties, source: Source = API) -> str:
        """Create an object. Returns its id."""
        key = str(self._last + 1)
        self.write(type_, key, properties, source)
        return key

    def find(self, type_: str, name: str, value: str | None) -> str | None:
        """The id of the object whose property has that value, ignoring case."""
        if value is None:
            return None
        if name == "hs_object_id":
            return value if value in self._objects[type_] else None
        wanted = value.lower()
        for key, item in self._objects[type_].items():
            if (item["properties"].get(name) or "").lower() == wanted:
                return key
        return None

    def write(self, type_: str, key: str, properties: Properties, source: Source = API) -> None:
        """Set properties of an object."""
        known = self._objects[type_].get(key)
        before: Properties = dict(known["properties"]) if known else {}
        self._book.write("hubspot", type=type_, id=key, properties=properties, at=time.time())
        for watcher in self._watchers:
            watcher(type_, key, before, properties, source)

    def archive(self, type_: str, key: str) -> None:
        """Remove an object."""
        self._book.write("hubspot-archived", type=type_, id=key)

    def connect(self, type_: str, key: str, to_type: str, target: str, number: int) -> None:
        """Associate two objects in both directions."""
        self._book.write("hubspot-association", type=type_, id=key, to_type=to_type, to_id=target, number=number)

    def _apply(self, entry: Entry, place: Place) -> None:
        at = iso(entry["at"])
        self._last = max(self._last, int(entry["id"]))
        item = self._objects[entry["type"]].setdefault(
            entry["id"],
            {"id": entry["id"], "properties": {"createdate": at}, "createdAt": at, "updatedAt": at, "archived": False},
        )
        item["properties"] |= {**entry["properties"], "hs_object_id": entry["id"], "lastmodifieddate": at}
        item["updatedAt"] = at

    def _apply_archived(self, entry: Entry, place: Place) -> None:
        self._objects[entry["type"]].pop(entry["id"], None)

    def _apply_association(self, entry: Entry, place: Place) -> None:
        one, other = (entry["type"], entry["id"]), (entry["to_type"], entry["to_id"])
        for start, end in ((one, other), (other, one)):
            if (*end, entry["number"]) not in self._associations[start]:
                self._associations[start].append((*end, entry["number"]))

    def _reset(self, entry: Entry, place: Place) -> None:
        for items in self._objects.values():
            items.clear()
        self._associations.clear()


def fits(item: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether an object matches one filter of a search. Raises ValueError for an operator that the sandbox lacks."""
    value = item["properties"].get(wanted["propertyName"])
    operator, target = wanted["operator"], wanted.get("value")
    if operator == "HAS_PROPERTY":
        return bool(value)
    if operator == "NOT_HAS_PROPERTY":
        return not value
    have, want = (value or "").lower(), str(target or "").lower()
    if operator == "EQ":
        return have == want
    if operator == "NEQ":
        return have != want
    if operator == "IN":
        return have in [str(v).lower() for v in wanted.get("values", [])]
    if operator == "CONTAINS_TOKEN":
        return want.strip("*") in have
    raise ValueError(f"unsupported operator {operator}")
