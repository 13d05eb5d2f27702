"""What people and systems give to signals and updates: one value, or nothing at all.

Temporal UI's field for it does not say whether it is needed. A handler that is called with too few or too many values
would fail the run's workflow task again and again (law 12): every handler takes one, and reads it here.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import StringConstraints, TypeAdapter
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

NOTHING = RawValue(Payload())
"""In place of a value that was not given."""

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00]*$")]
"""Why an operator does something; without NUL, which the database cannot hold."""


def demand(value: RawValue, kind: Any, wanted: str) -> Any:
    """The value, of a type that pydantic knows; raises ApplicationError, which says what is wanted, for another."""
    try:
        decoded: Any = workflow.payload_converter().from_payload(value.payload)
        return TypeAdapter(kind).validate_python(decoded)
    except Exception:
        raise ApplicationError(f"Data must be {wanted}", type="BadArgument", non_retryable=True) from None
