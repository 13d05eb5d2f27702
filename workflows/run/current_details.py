"""The text of the run's current details in Temporal UI: Markdown in plain words, with ids and no personal data."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType

from tracks.runs.run_interface import Journey, RunInput
from tracks.time.durations import format_duration
from workflows.run.run_memory import Memory

NAMES: Mapping[str, tuple[str, str]] = MappingProxyType({"email": ("email", "emails"), "sms": ("SMS", "SMS")})
"""One message of a channel, and several."""


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _counted(count: int, channel: str) -> str:
    one, several = NAMES.get(channel, (channel, channel))
    return f"{count} {one if count == 1 else several}"


def _began(given: RunInput, memory: Memory, journey: Journey) -> str | None:
    """When the step began, and how long before its end; None where it has not begun.

    The text stays until the step is over, so what it says of time has to be true at any later moment. "In two days"
    would not be.
    """
    began = memory.began.get(journey.step or "")
    if began is None:
        return None
    since = given.clock.at(began)
    if journey.until is None:
        return f"The step began {_when(since)}."
    whole = timedelta(seconds=round((journey.until - since).total_seconds()))
    if whole > timedelta(hours=1):
        whole = timedelta(minutes=round(whole.total_seconds() / 60))
    return f"The step began {_when(since)}, {format_duration(whole)} before that."


def describe(given: RunInput, memory: Memory, journey: Journey) -> str:
    """Where the contact is, what the run waits for and until when, what was sent, what was skipped and why."""
    lines = [f"**{given.track}** version {given.version}, contact `{given.contact_id}`"]
    if given.clock.pace != 1.0:
        lines.append(f"Paced: {given.clock.pace:g} seconds of the track pass in one.")
    if journey.step is None:
        lines.append(f"**{journey.state}**" + (f": {journey.waiting_for}" if journey.waiting_for else ""))
    else:
        lines.append(f"At step `{journey.step}`: **{journey.state}**")
        if journey.waiting_for:
            lines.append(f"Waiting for {journey.waiting_for}.")
        if journey.until:
            real = given.clock.real(journey.until)
            lines.append(
                f"Until {_when(journey.until)}" + ("." if real == journey.until else f" (really {_when(real)}).")
            )
        if began := _began(given, memory, journey):
            lines.append(began)
    if memory.sent:
        lines.append(
            "Sent: " + ", ".join(_counted(count, channel) for channel, count in sorted(memory.sent.items())) + "."
        )
    unsent = {
        outcome: count for outcome, count in sorted(memory.messages.items()) if outcome not in ("sent", "deferred")
    }
    if unsent:
        lines.append("Not sent: " + ", ".join(f"{count} {outcome}" for outcome, count in unsent.items()) + ".")
    if put_off := memory.messages.get("deferred"):
        lines.append(f"Put off: {put_off} time{'s' if put_off > 1 else ''}.")
    if memory.dropped:
        lines.append("Ignored: " + ", ".join(f"{n} {why}" for why, n in sorted(memory.dropped.items())) + ".")
    story = [f"- {note}" for note in memory.notes]
    return "\n\n".join(lines) + ("\n\n" + "\n".join(story) if story else "")
