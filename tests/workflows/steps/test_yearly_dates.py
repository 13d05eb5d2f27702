"""Years of a run, on the time-skipping server."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest

from bench.rehearsal import stage
from store.schema.rows import Contact
from tracks.checks.track_document import parse_track

BIRTHDAYS = """
track: birthdays
defaults: {email: {from: 'Ada <ada@acme.test>'}}
steps:
  - id: years
    repeat:
      times: 5
      steps:
        - id: birthday
          wait_date: {attribute: birthday, every: year, feb_29: mar-1, time: '09:00', missing: exit}
        - id: congratulate
          email: {template: happy-birthday}
"""


@pytest.mark.parametrize("birthday", ["1992-02-29", "--11-01"])
async def test_every_birthday_is_met_once_whatever_the_year_has(birthday: str) -> None:
    """Two rounds never use the same birthday, although the second begins at the moment when the first ends."""
    zone = "America/New_York"
    ann = Contact("user_1042", email="ann@example.com", timezone=zone, attributes={"birthday": birthday})
    async with stage() as theatre:
        lived = await theatre.play(parse_track(BIRTHDAYS, "birthdays.yaml"), ann)
    met = [entry.at.astimezone(ZoneInfo(zone)) for entry in lived.path if entry.step == "birthday"]
    assert len(met) == 5
    assert [moment.year for moment in met] == list(range(met[0].year, met[0].year + 5))
    for moment in met:
        assert timedelta(0) <= moment - moment.replace(hour=9, minute=0, second=0, microsecond=0) < timedelta(minutes=1)
        leap = moment.year % 4 == 0
        assert moment.date() == date(moment.year, *((11, 1) if "11" in birthday else (2, 29) if leap else (3, 1)))
    assert [entry.outcome for entry in lived.path if entry.step == "congratulate"] == ["sent"] * 5
