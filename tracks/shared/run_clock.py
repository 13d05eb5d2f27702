"""The clock that a run lives on: real time, or faster at a pace."""

from __future__ import annotations

from datetime import datetime, timedelta

from tracks.shared.payload_model import PayloadModel

_TICK = timedelta(microseconds=1)


class Clock(PayloadModel):
    """The run's clock: from `origin` on, `pace` seconds of the run pass in one real second.

    `origin` is a real instant (UTC) at which both clocks agree. At pace 1 the two clocks are the same.
    """

    origin: datetime
    pace: float = 1.0
    jumps: bool = False
    """If true, the run's current time is the moment at which its step was due; it moves from one such moment to the
    next. If false, delays of the machine pass on the run's clock too: at pace 86400, a second of delay is a day. It is
    false at pace 1, where both are the same, and in paced runs that began before this field existed."""

    @classmethod
    def of(cls, origin: datetime, pace: float) -> Clock:
        """The clock of a run that begins at `origin`."""
        return cls(origin=origin, pace=pace, jumps=pace != 1.0)

    def at(self, real: datetime) -> datetime:
        """The run's time at a real instant."""
        if self.pace == 1.0:
            return real
        return self.origin + (real - self.origin) * self.pace

    def real(self, run_time: datetime) -> datetime:
        """The real instant at which the run's clock shows `run_time`. For a paced clock it is the first microsecond
        that is not before `run_time`, so that a wait until eleven does not end before eleven."""
        if self.pace == 1.0:
            return run_time
        real = self.origin + (run_time - self.origin) / self.pace
        return real if self.at(real) >= run_time else real + _TICK

    def real_delay(self, run_delay: timedelta) -> timedelta:
        """The real time that a delay of the run takes."""
        return run_delay / self.pace
