"""Unknown query parameters are refused: with a misspelt filter the answer would be the whole list."""

from __future__ import annotations

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.dependencies.utils import request_params_to_args

from api.http.problems import FieldProblem, field_problems, invalid
from tracks.shared.problems import meant

_MOST = 20
"""How many unknown parameters one answer names."""


class Parameters:
    """The path and query parameters of a route and of its dependencies."""

    def __init__(self, dependant: Dependant) -> None:
        whole = _with_all_below(dependant)
        self._query = [field for one in whole for field in one.query_params]
        self._path = [field for one in whole for field in one.path_params]
        self.names = sorted({field.alias for field in self._query})

    def check(self, request: Request) -> None:
        """Refuse unknown parameters, together with all other errors of the parameters.

        Raises:
            ProblemError: 422 that names all errors.
        """
        if not request.scope["query_string"]:
            return
        unknown = [name for name in request.query_params if name not in self.names]
        if not unknown:
            return
        wrong = [
            FieldProblem(detail=f"Extra inputs are not permitted{meant(name[:100], self.names)}", parameter=name[:100])
            for name in unknown[:_MOST]
        ]
        for fields, given in ((self._path, request.path_params), (self._query, request.query_params)):
            wrong += field_problems(request_params_to_args(fields, given)[1])
        raise invalid(wrong)


def _with_all_below(dependant: Dependant) -> list[Dependant]:
    return [dependant, *(one for below in dependant.dependencies for one in _with_all_below(below))]
