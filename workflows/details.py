"""The run's current details in Temporal UI: plain words, Markdown, ids only."""

from __future__ import annotations

from datetime import datetime

from tracks.run import Journey, RunInput
from workflows.memory import Memory


def _when(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def describe(given: RunInput, memory: Memory, journey: Journey) -> str:
    """Where the contact is, what it waits for, until when, what was sent and what was skipped and why."""
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
    if memory.sent:
        lines.append("Sent: " + ", ".join(f"{count} {channel}" for channel, count in sorted(memory.sent.items())) + ".")
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
