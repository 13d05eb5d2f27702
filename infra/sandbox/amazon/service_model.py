"""Amazon's own description of SES v2, from botocore: routes, required members, limits, error shapes."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape
from botocore.validate import ParamValidator
from starlette.datastructures import QueryParams
from starlette.responses import Response


class AwsError(Exception):
    """An error as the service would answer it. The status comes from the model."""

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True, slots=True)
class Call:
    """A recognised and checked request."""

    operation: str
    params: dict[str, Any]


class AwsModel:
    """Recognises requests of one REST-JSON service and checks them against its model."""

    def __init__(self, service: str) -> None:
        self._model = ServiceModel(Loader().load_service_model(service, "service-2"), service)
        self._validator = ParamValidator()
        self._routes: list[tuple[str, re.Pattern[str], str]] = []
        for name in self._model.operation_names:
            http = self._model.operation_model(name).http
            pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(http["requestUri"]))
            self._routes.append((http["method"], re.compile(pattern), name))
        # A fixed path like /suppression/addresses must come before one with a variable in its place.
        self._routes.sort(key=lambda route: route[1].groups)

    def recognise(self, method: str, path: str, query: QueryParams, body: bytes) -> Call:
        """The operation of a request and its parameters. Raises AwsError if the request is invalid."""
        for route_method, pattern, name in self._routes:
            match = pattern.fullmatch(path) if route_method == method else None
            if match is not None:
                operation = self._model.operation_model(name)
                params = {**_json_members(body), **_query_members(operation, query), **match.groupdict()}
                self._check(operation, params)
                return Call(name, params)
        raise AwsError("UnknownOperationException", f"There is no operation {method} {path}.", 404)

    def error(self, error: AwsError) -> Response:
        """The error as a response."""
        status = error.status
        if status is None:
            status = self._model.shape_for(error.code).metadata.get("error", {}).get("httpStatusCode", 400)
        return answer({"message": error.message}, status, {"x-amzn-errortype": error.code})

    def _check(self, operation: OperationModel, params: dict[str, Any]) -> None:
        shape = operation.input_shape
        if shape is None:
            return
        report = self._validator.validate(params, shape)
        problem = report.generate_report() if report.has_errors() else _over_limits(params, shape, "input")
        if problem:
            raise AwsError("BadRequestException", problem)


def answer(data: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A response in the service's format."""
    return Response(
        json.dumps(data),
        status,
        {"x-amzn-requestid": str(uuid.uuid4()), **(headers or {})},
        media_type="application/json",
    )


def _json_members(body: bytes) -> dict[str, Any]:
    try:
        data = json.loads(body) if body else {}
    except ValueError:
        raise AwsError("SerializationException", "The request body is not JSON.", 400) from None
    if not isinstance(data, dict):
        raise AwsError("SerializationException", "Start of structure or map found where not expected.", 400)
    # A member that is null in the request counts as absent.
    return {key: value for key, value in data.items() if value is not None}


def _query_members(operation: OperationModel, query: QueryParams) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, shape in operation.input_shape.members.items() if operation.input_shape else ():
        if shape.serialization.get("location") != "querystring" or shape.serialization["name"] not in query:
            continue
        key = shape.serialization["name"]
        if shape.type_name == "list":
            members[name] = query.getlist(key)
        else:
            members[name] = int(query[key]) if shape.type_name == "integer" and query[key].isdigit() else query[key]
    return members


def _over_limits(value: Any, shape: Shape, name: str) -> str:
    """Check what botocore's own validator does not: enums, patterns, upper bounds."""
    nested: Iterator[tuple[Any, Shape, str]]
    if shape.type_name == "structure":
        nested = ((value[member], s, f"{name}.{member}") for member, s in shape.members.items() if member in value)
    elif shape.type_name == "list":
        nested = ((item, shape.member, f"{name}[{i}]") for i, item in enumerate(value))
    else:
        nested = iter(())
    for item, item_shape, item_name in nested:
        if problem := _over_limits(item, item_shape, item_name):
            return problem
    most = shape.metadata.get("max")
    if most is not None and isinstance(value, str | list) and len(value) > most:
        return f"Value at '{name}' failed to satisfy constraint: length must be at most {most}"
    if isinstance(value, str):
        enum = getattr(shape, "enum", None)
        if enum and value not in enum:
            return f"Value at '{name}' failed to satisfy constraint: must be one of [{', '.join(enum)}]"
        pattern = shape.metadata.get("pattern")
        if pattern and not re.fullmatch(pattern, value):
            return f"Value at '{name}' failed to satisfy regular expression pattern: {pattern}"
    return ""
