"""HubSpot's API of CRM objects (contacts, notes, tasks) and their associations, as its official client calls it."""

from __future__ import annotations

import json
import time
import uuid
from collections import defaultdict
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from infra.sandbox.core.faults import Dropped, Faults
from infra.sandbox.core.mailbox import iso
from infra.sandbox.hubspot.objects import TYPES, HubSpotStore, Properties, fits

UNIQUE = {"contacts": "email"}
REQUIRED = {"notes": "hs_timestamp", "tasks": "hs_timestamp"}
TYPE_NUMBERS = {("notes", "contacts"): 202, ("tasks", "contacts"): 204}


class HubSpotError(Exception):
    """An error in HubSpot's format."""

    def __init__(self, status: int, category: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.category = category
        self.message = message

    def response(self) -> JSONResponse:
        """The error as a response."""
        data = {
            "status": "error",
            "message": self.message,
            "correlationId": str(uuid.uuid4()),
            "category": self.category,
        }
        return JSONResponse(data, self.status)


class HubSpot:
    """A portal with contacts, notes and tasks."""

    def __init__(self, store: HubSpotStore, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def routes(self) -> list[Route]:
        """The paths that the official client uses for these objects."""
        objects, links = "/crm/v3/objects/{type}", "/crm/v4/objects/{type}/{id}/associations"
        routes = [
            (objects, "POST", self._create),
            (objects, "GET", self._list),
            (f"{objects}/search", "POST", self._search),
            (f"{objects}/batch/upsert", "POST", self._upsert),
            (f"{objects}/batch/read", "POST", self._read),
            (f"{objects}/{{id}}", "GET", self._get),
            (f"{objects}/{{id}}", "PATCH", self._update),
            (f"{objects}/{{id}}", "DELETE", self._archive),
            (f"{links}/{{to_type}}", "GET", self._associated),
            (f"{links}/{{to_type}}/{{to_id}}", "PUT", self._associate),
            (
                "/crm/v4/objects/{type}/{id}/associations/default/{to_type}/{to_id}",
                "PUT",
                self._associate_by_default,
            ),
        ]
        return [Route(path, self._guarded(handler), methods=[method]) for path, method, handler in routes]

    def _guarded(self, handler: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            body = await request.body()
            fault = await self._faults.strike("hubspot", [request.url.path, body.decode(errors="replace")])
            try:
                if fault.kind == "drop_before":
                    return Dropped()
                if fault.kind == "429":
                    error = HubSpotError(429, "RATE_LIMITS", "You have reached your ten_secondly_rolling limit.")
                    response: Response = error.response()
                    if fault.retry_after is not None:
                        response.headers["retry-after"] = f"{fault.retry_after:g}"
                    return response
                if fault.kind == "500":
                    raise HubSpotError(500, "INTERNAL_ERROR", "internal error")
                response = handler(request, self._checked(request, body))
                if fault.kind == "500_after":
                    raise HubSpotError(500, "INTERNAL_ERROR", "internal error")
                return Dropped() if fault.kind == "drop_after" else response
            except HubSpotError as error:
                return error.response()

        return endpoint

    @staticmethod
    def _checked(request: Request, body: bytes) -> Any:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise HubSpotError(401, "INVALID_AUTHENTICATION", "Authentication credentials not found.")
        for name in ("type", "to_type"):
            kind = request.path_params.get(name)
            if kind is not None and _plural(kind) not in TYPES:
                raise HubSpotError(400, "VALIDATION_ERROR", f"Unable to infer object type from: {kind}")
        try:
            return json.loads(body) if body else {}
        except ValueError:
            raise HubSpotError(400, "VALIDATION_ERROR", "Invalid input JSON on line 1") from None

    def _create(self, request: Request, data: Any) -> Response:
        type_ = _plural(request.path_params["type"])
        key = self._new(type_, _properties(data), data.get("associations") or [])
        return JSONResponse(self._store.get(type_, key), 201)

    def _new(self, type_: str, properties: Properties, associations: list[Any]) -> str:
        if unique := UNIQUE.get(type_):
            held = self._store.find(type_, unique, properties.get(unique))
            if held is not None:
                raise HubSpotError(409, "CONFLICT", f"Contact already exists. Existing ID: {held}")
        if (required := REQUIRED.get(type_)) and not properties.get(required):
            text = f"Error creating {type_.upper()}. Some required properties were not set: {required}"
            raise HubSpotError(400, "VALIDATION_ERROR", text)
        wanted = []
        for association in associations:
            target = str(association["to"]["id"])
            numbers = [int(t["associationTypeId"]) for t in association["types"]]
            to_type = "contacts" if type_ != "contacts" else "notes"
            if self._store.get(to_type, target) is None:
                raise HubSpotError(400, "VALIDATION_ERROR", f"{to_type} {target} does not exist")
            wanted += [(to_type, target, number) for number in numbers]
        key = self._store.create(type_, properties)
        for to_type, target, number in wanted:
            self._store.connect(type_, key, to_type, target, number)
        return key

    def _get(self, request: Request, data: Any) -> Response:
        type_, key = self._wanted(request)
        return JSONResponse(self._store.get(type_, key))

    def _list(self, request: Request, data: Any) -> Response:
        return JSONResponse({"results": self._store.all(_plural(request.path_params["type"]))})

    def _update(self, request: Request, data: Any) -> Response:
        type_, key = self._wanted(request)
        properties = _properties(data)
        if unique := UNIQUE.get(type_):
            held = self._store.find(type_, unique, properties.get(unique))
            if held not in (None, key):
                raise HubSpotError(409, "CONFLICT", f"Contact already exists. Existing ID: {held}")
        self._store.write(type_, key, properties)
        return JSONResponse(self._store.get(type_, key))

    def _archive(self, request: Request, data: Any) -> Response:
        type_, key = self._wanted(request)
        self._store.archive(type_, key)
        return Response(status_code=204)

    def _upsert(self, request: Request, data: Any) -> Response:
        type_, started = _plural(request.path_params["type"]), time.time()
        results = []
        for item in data.get("inputs", []):
            id_property = item.get("idProperty") or "hs_object_id"
            key = self._store.find(type_, id_property, str(item["id"]))
            if key is None:
                key, new = self._new(type_, {**_properties(item), id_property: str(item["id"])}, []), True
            else:
                self._store.write(type_, key, _properties(item))
                new = False
            results.append({**(self._store.get(type_, key) or {}), "new": new})
        ended = time.time()
        answer = {"status": "COMPLETE", "results": results, "startedAt": iso(started), "completedAt": iso(ended)}
        return JSONResponse(answer)

    def _read(self, request: Request, data: Any) -> Response:
        type_, started = _plural(request.path_params["type"]), iso(time.time())
        found = [self._store.get(type_, str(item["id"])) for item in data.get("inputs", [])]
        results = [item for item in found if item is not None]
        answer = {"status": "COMPLETE", "results": results, "startedAt": started, "completedAt": iso(time.time())}
        return JSONResponse(answer)

    def _search(self, request: Request, data: Any) -> Response:
        objects = self._store.all(_plural(request.path_params["type"]))
        groups = data.get("filterGroups") or []
        try:
            found = [
                item
                for item in objects
                if not groups or any(all(fits(item, f) for f in group.get("filters", [])) for group in groups)
            ]
        except ValueError as problem:
            raise HubSpotError(400, "VALIDATION_ERROR", str(problem)) from None
        start, limit = int(data.get("after") or 0), int(data.get("limit") or 10)
        answer: dict[str, Any] = {"total": len(found), "results": found[start : start + limit]}
        if len(found) > start + limit:
            answer["paging"] = {"next": {"after": str(start + limit)}}
        return JSONResponse(answer)

    def _associated(self, request: Request, data: Any) -> Response:
        type_, key = self._wanted(request)
        to_type = _plural(request.path_params["to_type"])
        by_target: defaultdict[str, list[int]] = defaultdict(list)
        for kind, target, number in self._store.associations(type_, key):
            if kind == to_type:
                by_target[target].append(number)
        results = [
            {
                "toObjectId": target,
                "associationTypes": [{"category": "HUBSPOT_DEFINED", "typeId": n, "label": None} for n in numbers],
            }
            for target, numbers in by_target.items()
        ]
        return JSONResponse({"results": results})

    def _associate(self, request: Request, data: Any) -> Response:
        numbers = [int(label["associationTypeId"]) for label in data]
        return self._associated_with(request, numbers, 201)

    def _associate_by_default(self, request: Request, data: Any) -> Response:
        return self._associated_with(request, [], 200)

    def _associated_with(self, request: Request, numbers: list[int], status: int) -> Response:
        type_, key = self._wanted(request)
        to_type, target = _plural(request.path_params["to_type"]), request.path_params["to_id"]
        if self._store.get(to_type, target) is None:
            raise HubSpotError(404, "OBJECT_NOT_FOUND", f"{to_type} {target} does not exist")
        default = TYPE_NUMBERS.get((type_, to_type)) or TYPE_NUMBERS.get((to_type, type_), 1) - 1
        for number in numbers or [default]:
            self._store.connect(type_, key, to_type, target, number)
        if status == 200:
            now = iso(time.time())
            return JSONResponse({"status": "COMPLETE", "results": [], "startedAt": now, "completedAt": now})
        answer = {
            "fromObjectTypeId": type_,
            "fromObjectId": key,
            "toObjectTypeId": to_type,
            "toObjectId": target,
            "labels": [],
        }
        return JSONResponse(answer, status)

    def _wanted(self, request: Request) -> tuple[str, str]:
        """Type and id of the object that the path names, by id or by a property (`idProperty`)."""
        type_, key = _plural(request.path_params["type"]), request.path_params["id"]
        found = self._store.find(type_, request.query_params.get("idProperty") or "hs_object_id", key)
        if found is None:
            raise HubSpotError(404, "OBJECT_NOT_FOUND", "resource not found")
        return type_, found


def _plural(type_: str) -> str:
    numbered = {"0-1": "contacts", "0-46": "notes", "0-27": "tasks"}
    return numbered.get(type_, type_ if type_.endswith("s") else f"{type_}s")


def _properties(data: Any) -> Properties:
    properties = data.get("properties") if isinstance(data, dict) else None
    if not isinstance(properties, dict):
        raise HubSpotError(400, "VALIDATION_ERROR", "properties must be an object")
    return {name: None if value is None else str(value) for name, value in properties.items()}
