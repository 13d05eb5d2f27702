"""The ingest benchmark: its requests, and reading their answers."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from bench.comparisons.ingest import PER_RUN, batches, event, matching, singles, waiting
from bench.measuring.http_wire import answer, request


def body_of(text: str) -> Any:
    """The JSON of a request. Checks that its Content-Length is right."""
    head, _, body = text.partition("\r\n\r\n")
    assert f"Content-Length: {len(body.encode())}" in head.split("\r\n")
    return json.loads(body)


def test_a_request_names_its_key_and_announces_its_length_in_bytes() -> None:
    text = request(8000, "/v1/events", "pk_1", {"name": "Zoë"})
    assert text.startswith("POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAuthorization: Bearer pk_1\r\n")
    assert body_of(text) == {"name": "Zoë"}


def test_no_event_is_sent_twice() -> None:
    ids = [body_of(one)["event_id"] for one in [*singles(1, "k", "one", 250), *matching(1, "k", 250)]]
    for one in batches(1, "k", 250):
        ids += [item["messageId"] for item in body_of(one)["batch"]]
    assert len(ids) == len(set(ids)) == 750


def test_every_waiting_run_gets_its_share_of_matching_events() -> None:
    told = Counter(body_of(one)["contact_id"] for one in matching(1, "k", 20 * PER_RUN))
    assert told == dict.fromkeys(waiting(20 * PER_RUN), PER_RUN)
    assert len(waiting(PER_RUN + 1)) == 2


def test_a_batch_holds_the_same_events_as_the_single_requests() -> None:
    items = [item for one in batches(1, "k", 250) for item in body_of(one)["batch"]]
    assert len(batches(1, "k", 250)) == 3
    for number, (item, single) in enumerate(zip(items, singles(1, "k", "batch", 250), strict=True)):
        told = body_of(single)
        assert told == event(number, "batch", told["contact_id"], "page.viewed")
        named = (item["messageId"], item["userId"], item["event"])
        assert named == (told["event_id"], told["contact_id"], told["name"])
        assert (item["properties"], item["timestamp"]) == (told["properties"], told["occurred_at"])


def test_an_answer_is_read_once_all_of_it_has_come() -> None:
    whole = b'HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\nContent-Length: 13\r\n\r\n{"matched":0}'
    assert answer(whole) == (202, b'{"matched":0}')
    assert {answer(whole[:length]) for length in range(len(whole))} == {None}


def test_an_answer_of_unknown_length_is_refused() -> None:
    with pytest.raises(ValueError, match="Content-Length"):
        answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
