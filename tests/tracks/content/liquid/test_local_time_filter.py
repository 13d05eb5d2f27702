"""Times in a message, in the contact's zone."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.content.checks.template_check import check_text
from tracks.content.rendering.liquid_rendering import render_text
from tracks.content.rendering.message_context import MessageContext

SHOWN = '{{ contact.attributes.at | local_time | date: "%Y-%m-%d %H:%M" }}'


def text(at: object, zone: str | None, *, default: str = "UTC", source: str = SHOWN) -> str:
    contact = {"id": "c", "timezone": zone, "attributes": {"at": at}}
    now = datetime(2026, 12, 25, 2, 0, tzinfo=UTC)
    return render_text(source, MessageContext(contact, {"id": "e", "properties": {}}, zone=default, now=now))


@pytest.mark.parametrize(
    ("at", "zone", "shown"),
    [
        ("2026-12-25T02:00:00Z", "America/New_York", "2026-12-24 21:00"),
        ("2026-12-25T02:00:00.000Z", "Asia/Kolkata", "2026-12-25 07:30"),
        ("2026-07-01T02:00:00+02:00", "America/New_York", "2026-06-30 20:00"),
        ("2026-12-25T02:00:00", "America/New_York", "2026-12-25 02:00"),
        ("2026-12-25", "America/New_York", "2026-12-25 00:00"),
        (1798164000, "America/New_York", "2026-12-24 21:00"),
        ("1798164000", "America/New_York", "2026-12-24 21:00"),
        ("2026-12-25 02:00:00 UTC", "America/New_York", "2026-12-24 21:00"),
        ("2026-12-25T02:00:00Z", None, "2026-12-25 03:00"),
        ("2026-12-25T02:00:00Z", "No/Where", "2026-12-25 03:00"),
        ("now", "America/New_York", "2026-12-24 21:00"),
        ("soon", "America/New_York", "soon"),
        (None, "America/New_York", ""),
        ("0001-01-01T00:00:00Z", "America/New_York", "1-01-01 00:00"),
    ],
)
def test_a_moment_is_shown_by_the_contacts_clock(at: object, zone: str | None, shown: str) -> None:
    assert text(at, zone, default="Europe/Berlin").removeprefix("000") == shown


@given(st.integers(86_400, 4_102_444_800), st.sampled_from(sorted(available_timezones())))
def test_it_is_the_local_time_of_every_zone(seconds: int, zone: str) -> None:
    moment = datetime.fromtimestamp(seconds, UTC)
    wanted = moment.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M")
    assert text(moment.isoformat(), zone) == wanted
    assert text(moment.astimezone(ZoneInfo("Asia/Tokyo")).isoformat(), zone) == wanted


def test_the_zone_itself_can_be_named() -> None:
    source = '{{ contact.attributes.at | local_time | date: "%H:%M %Z" }}'
    assert text("2026-12-25T02:00:00Z", "America/New_York", source=source) == "21:00 EST"


def test_the_filter_is_known_at_publishing_and_its_names_are_not() -> None:
    assert check_text("{{ contact.attributes.at | local_time }}") == []
    assert "unknown variable '_zone'" in check_text("{{ _zone }}")[0].message
