"""`simulate`: rehearse the library's longest track over 90 days, as a user's test would (`bench/rehearsal.py`).

The longest track is `trial-to-paid`. It is as long as the contact's trial: here the trial ends on day 88, so the run of
a contact who does not react lasts 90 days.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.console import Console

from bench.installation.one_process import PROJECT
from bench.measuring.paired_runs import Pair, Row, alone
from bench.rehearsal import Rehearsed, stage
from store.schema.rows import Contact
from tracks.checks.track_document import parse_track
from tracks.model.track import Track

TRACK = PROJECT / "tracks" / "library" / "trial-to-paid.yaml"
DAYS = 90
TRIAL = timedelta(days=88)
BUDGET = 1.0
"""Budget for one track in a test, in seconds."""
STAGES = 3
PLAYS = 3
"""Plays on each stage."""


@dataclass(frozen=True)
class Timed:
    """Seconds of one stage: to start, and for each play."""

    start: float
    plays: tuple[float, ...]


def long_trial(now: datetime) -> Contact:
    """A contact whose trial makes the track last 90 days."""
    ends = (now + TRIAL).date().isoformat()
    return Contact("user-1", "user-1@people.test", timezone="Europe/London", attributes={"trial_ends_on": ends})


async def once(track: Track) -> tuple[Timed, Rehearsed]:
    """Start a stage and play the track on it several times. Raises RuntimeError if the track did not last its days."""
    began = time.monotonic()
    async with stage() as rehearsal:
        start, plays = time.monotonic() - began, []
        for _ in range(PLAYS):
            contact = long_trial(await rehearsal.now())
            began = time.monotonic()
            played = await rehearsal.play(track, contact)
            plays.append(time.monotonic() - began)
            if round(played.lasted / timedelta(days=1)) != DAYS:
                raise RuntimeError(f"the track lasted {played.lasted}")
        return Timed(start, tuple(plays)), played


def rows(timed: Sequence[Timed]) -> list[Row]:
    """The report: the start, the first play, which has to load the code, and the other plays."""
    first, *later = [seconds for one in timed for seconds in one.plays]
    return [
        alone("server and worker start, s: not counted", [one.start for one in timed]),
        alone(f"{DAYS} days, the first in its process, s", [first], at_most=BUDGET),
        alone(f"{DAYS} days, any later one, s", later, at_most=BUDGET),
    ]


async def bench(console: Console) -> tuple[list[Row], list[Pair]]:
    """The report. Raises MissingServer without the time-skipping server."""
    logging.getLogger().setLevel(logging.WARNING)  # each worker logs its end
    track = parse_track(TRACK.read_text(encoding="utf-8"), TRACK.name)
    timed = []
    for number in range(STAGES):
        console.print(f"stage {number + 1} of {STAGES} …", end=" ")
        one, played = await once(track)
        console.print(f"{played.lasted.days} days, {len(played.path)} steps, {played.status}: {played.reason}")
        timed.append(one)
    return rows(timed), []
