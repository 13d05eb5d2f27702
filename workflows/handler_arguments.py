"""Reads the argument of a signal or an update: one value, or none.

In Temporal UI nobody sees whether a handler needs an argument. A handler that is called with too few or too many
arguments fails the run's workflow task again and again (law 12). So every handler takes one raw value, which may be
missing, and reads it with this module.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import StringConstraints, TypeAdapter
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

NOTHING = RawValue(Payload())
"""The default of a handler's argument: no value was given."""

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
"""Why an operator does something. It holds no NUL, which PostgreSQL cannot store."""


def demand(value: RawValue, kind: Any, wanted: str) -> Any:
    """The value as a `kind`, which is a type that pydantic knows.

    Raises ApplicationError, which says what is wanted, for a value of another type.
    """
    try:
        decoded: Any = workflow.payload_converter().from_payload(value.payload)
        return TypeAdapter(kind).validate_python(decoded)
    except Exception:
        raise ApplicationError(f"Data must be {wanted}", type="BadArgument", non_retryable=True) from None
