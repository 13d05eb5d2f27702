"""The base of every model that crosses a process boundary, and the clock of a run.

These models are written into Temporal histories that outlive deployments. Fields may be added with a default; they may
never be renamed or removed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

_TICK = timedelta(microseconds=1)


class Wire(BaseModel):
    """A frozen model whose JSON leaves out fields that hold their default, so that histories stay small."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    _left_out: ClassVar[tuple[tuple[str, Any], ...]] = ()

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Store the defaults of the fields: asking pydantic for each default at every dump costs 20 µs."""
        super().__pydantic_init_subclass__(**kwargs)
        cls._left_out = tuple(
            (name, field.get_default(call_default_factory=True))
            for name, field in cls.model_fields.items()
            # `op` distinguishes the members of a union, so it is always written
            if name != "op" and not field.is_required()
        )

    @model_serializer(mode="wrap")
    def _without_defaults(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        out: dict[str, Any] = handler(self)
        for name, default in self._left_out:
            if name in out and getattr(self, name) == default:
                del out[name]
        return out


class Clock(Wire):
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
