"""Which answers of Temporal are for good, and which may be another one later."""

from __future__ import annotations

import pytest
from temporalio.service import RPCError, RPCStatusCode

from api.relay.delivery import Later, Refused, refusal

BUSY = [
    ("RESOURCE_EXHAUSTED", "namespace rate limit exceeded"),
    ("RESOURCE_EXHAUSTED", "Workflow is busy."),
    ("RESOURCE_EXHAUSTED", "system workflow task backlog limit exceeded"),
    ("INVALID_ARGUMENT", "Namespace default has no mapping defined for search attribute Track"),
    ("INVALID_ARGUMENT", "exceeded workflow execution limit for signal events"),
    ("INVALID_ARGUMENT", "Workflow history size exceeds limit."),
    ("PERMISSION_DENIED", "Request unauthorized."),
    ("UNAVAILABLE", "Blob data size exceeds limit."),
]
FOR_GOOD = [
    ("INVALID_ARGUMENT", "Blob data size exceeds limit.", "too large"),
    ("INVALID_ARGUMENT", "Memo size exceeds limit.", "too large"),
    ("RESOURCE_EXHAUSTED", "grpc: received message after decompression larger than max 4194304", "too large"),
    ("RESOURCE_EXHAUSTED", "grpc: received message larger than max (5000213 vs. 4194304)", "too large"),
    ("INVALID_ARGUMENT", "WorkflowId exceeds maximum allowed length (1001/1000)", "name too long"),
    ("INVALID_ARGUMENT", "WorkflowId length exceeds limit.", "name too long"),
]


@pytest.mark.parametrize(("status", "message"), BUSY)
def test_what_may_be_taken_later_waits(status: str, message: str) -> None:
    assert isinstance(refusal(RPCError(message, RPCStatusCode[status], b"")), Later)


@pytest.mark.parametrize(("status", "message", "cause"), FOR_GOOD)
def test_what_never_will_be_taken_is_refused(status: str, message: str, cause: str) -> None:
    answer = refusal(RPCError(message, RPCStatusCode[status], b""))
    assert isinstance(answer, Refused) and answer.cause == cause
