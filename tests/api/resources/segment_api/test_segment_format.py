"""What an item of Segment's means: its times, its user, and whatever JSON it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.resources.segment_api.segment_format import Group, Identify, Track, translate
from api.resources.segment_api.timestamps import Sent

RECEIVED = datetime(2026, 3, 1, 9, tzinfo=UTC)
SOMETIME = st.datetimes(datetime(1971, 1, 1), datetime(2026, 2, 1), timezones=st.just(UTC))  # noqa: DTZ001


def happened(timestamps: dict[str, Any], sent_at: Any = None) -> tuple[datetime, str]:
    """When an item with these timestamps happened, and the reported problem."""
    item = {"type": "track", "userId": "u", "event": "x", **timestamps}
    result = translate(0, item, Sent(RECEIVED, sent_at))
    assert isinstance(result.action, Track)
    return result.action.occurred_at, result.reason


@given(SOMETIME, st.timedeltas(timedelta(0), timedelta(days=40)), st.timedeltas(timedelta(-9000), timedelta(9000)))
def test_a_device_whose_clock_is_off_tells_when_it_happened(
    moment: datetime, until_sent: timedelta, off: timedelta
) -> None:
    """The event happened at `moment` and was sent later; all of the device's times are wrong by `off`."""
    item = {"type": "track", "userId": "u", "event": "x", "timestamp": (moment + off).isoformat()}
    sent_at = (moment + until_sent + off).isoformat()
    by_batch = translate(0, item, Sent(moment + until_sent, sent_at)).action
    by_item = translate(0, item | {"sentAt": sent_at}, Sent(moment + until_sent, "2001-01-01")).action
    assert isinstance(by_batch, Track) and by_batch == by_item
    assert by_batch.occurred_at == moment


@given(st.none() | SOMETIME, SOMETIME, SOMETIME)
def test_the_order_of_what_one_device_did_is_kept(sent_at: datetime | None, a: datetime, b: datetime) -> None:
    sent = sent_at.isoformat() if sent_at else None
    first, second = (happened({"timestamp": at.isoformat()}, sent)[0] for at in sorted((a, b)))
    assert first <= second <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("times", "sent_at", "moment", "reason"),
    [
        pytest.param({}, "1970-01-01", RECEIVED, "", id="no timestamp: now"),
        pytest.param({"timestamp": "2019-03-01"}, None, datetime(2019, 3, 1, tzinfo=UTC), "", id="no sentAt"),
        pytest.param(
            {"timestamp": "2019-03-01"}, RECEIVED.isoformat(), datetime(2019, 3, 1, tzinfo=UTC), "", id="history"
        ),
        pytest.param(
            {"timestamp": "1970-01-01T00:01:00Z"},
            "1970-01-01T00:02:00Z",
            RECEIVED - timedelta(minutes=1),
            "",
            id="a clock that began anew",
        ),
        pytest.param(
            {"originalTimestamp": "2026-03-01T08:00:00Z"},
            "2026-03-01T08:50:00Z",
            RECEIVED - timedelta(minutes=50),
            "",
            id="as other libraries call it",
        ),
        pytest.param(
            {"timestamp": "2026-02-28T09:00:00Z", "originalTimestamp": "2026-02-27T09:00:00Z"},
            "2026-02-27T10:00:00Z",
            RECEIVED - timedelta(days=1),
            "",
            id="shifted before, by whoever passes it on",
        ),
        pytest.param(
            {"timestamp": "2026-02-28T09:00:00Z", "receivedAt": "2026-02-28T09:00:01Z"},
            "2026-02-27T10:00:00Z",
            RECEIVED - timedelta(days=1),
            "",
            id="received before",
        ),
        pytest.param(
            {"timestamp": "2026-02-28T09:00:00Z"}, "2099-01-01", RECEIVED - timedelta(days=1), "", id="before 1970"
        ),
        pytest.param(
            {"timestamp": "2026-02-28T09:00:00Z"}, "0001-01-01", RECEIVED, "", id="sent before it happened: now"
        ),
        pytest.param({"timestamp": "2026-02-28T09:00:00Z"}, 7, RECEIVED - timedelta(days=1), "sent-at", id="a number"),
        pytest.param(
            {"timestamp": "2026-02-28T09:00:00Z", "sentAt": "now"},
            None,
            RECEIVED - timedelta(days=1),
            "sent-at",
            id="now",
        ),
    ],
)
def test_odd_times_are_taken_for_what_they_can_mean(
    times: dict[str, Any], sent_at: Any, moment: datetime, reason: str
) -> None:
    assert happened(times, sent_at) == (moment, reason)


@pytest.mark.parametrize(
    ("user", "contact"), [(1, "1"), (1.0, "1"), (-3, "-3"), (90071992547409910, "90071992547409910")]
)
def test_a_number_is_the_same_user_however_json_writes_it(user: Any, contact: str) -> None:
    action = translate(0, {"type": "track", "userId": user, "event": "x"}).action
    assert isinstance(action, Track) and action.contact_id == contact


@pytest.mark.parametrize("user", [1.5, 1e300, True, [], {"id": 1}, ".", ".."])
def test_what_is_no_id_of_a_user_is_refused(user: Any) -> None:
    assert translate(0, {"type": "track", "userId": user, "event": "x"}).reason == "invalid"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
items = st.fixed_dictionaries(
    {"type": st.sampled_from(["identify", "track", "page", "screen", "group"]) | json_values},
    optional={
        name: json_values | st.just("user-1")
        for name in (
            "userId",
            "traits",
            "properties",
            "event",
            "messageId",
            "timestamp",
            "originalTimestamp",
            "sentAt",
            "context",
            "groupId",
            "name",
        )
    },
)


@given(items | json_values)
def test_no_item_breaks_the_translation(item: Any) -> None:
    result = translate(0, item)
    assert isinstance(result.action, Identify | Group | Track) or result.reason


@given(items)
def test_an_item_without_an_id_of_its_own_is_the_same_each_time(item: Any) -> None:
    first, second = translate(0, item).action, translate(5, item).action
    if isinstance(first, Track):
        assert isinstance(second, Track)
        assert first.event_id == second.event_id


def test_what_is_sent_again_is_the_same_though_its_sending_is_another() -> None:
    item = {"type": "track", "userId": "u", "event": "x", "timestamp": "2026-02-28T09:00:00Z"}
    first, again = (translate(0, item | {"sentAt": f"2026-02-28T09:00:0{n}Z"}).action for n in (1, 2))
    assert isinstance(first, Track) and isinstance(again, Track) and first.event_id == again.event_id
