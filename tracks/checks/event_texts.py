"""Check the texts that read `event`: a wait for an event has to come before them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tracks.model import liquid_texts
from tracks.model.steps.effects import Email, Sms
from tracks.shared.yaml_source import Path
from tracks.static_analysis.effect_parts import effect_parts_of
from tracks.static_analysis.flow import Flow
from tracks.static_analysis.model_fields import liquid_of
from tracks.static_analysis.references import waits_for_event


def event_problems(data: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The texts that read `event` although no run can have matched one by then.

    A message's own variable of that name is something else.
    """
    flow = Flow(data.get("steps"))
    before = [path for path, step in flow.steps.items() if waits_for_event(step)]
    for piece in effect_parts_of(data):
        step = next((path for path in reversed(flow.steps) if piece.path[: len(path)] == path), None)
        if step is None or any(step in flow.after(path) for path in before):
            continue
        own = "event" in piece.part.variables if isinstance(piece.part, Email | Sms) else False
        for path, text in liquid_of(piece.part):
            if liquid_texts.reads_event(text) and not (own and path[0] in ("subject", "text")):
                where = ".".join(str(part) for part in path)
                yield (*piece.path, *path), f"{where}: reads `event`, but no wait_for or handoff comes before this step"
