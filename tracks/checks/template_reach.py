"""Which steps of a track lead to a template: from which steps a run may still send it."""

from __future__ import annotations

from collections.abc import Callable

from tracks.checks.references.template_use import messages_of
from tracks.checks.track_document import track_to_data
from tracks.model.track import Track
from tracks.static_analysis.flow import Flow


def may_send(track: Track, template: str) -> Callable[[str | None], bool]:
    """A test whether a run at a given step may still send the newest version of a template.

    The step is None where the run has reported none yet. A run reports its steps only now and then, so a step that it
    may have passed since its last report counts as not passed.
    """
    flow = Flow(track_to_data(track)["steps"])
    sending = {
        step.id
        for step in track.walk()
        for message in messages_of(step)
        if message.template == template and message.version is None
    }
    ids = {path: str(step["id"]) for path, step in flow.steps.items()}
    targets = {path for path, name in ids.items() if name in sending}
    passed = {name for path, name in ids.items() if path not in targets and not targets & flow.after(path)}
    return lambda step: bool(targets) and step not in passed
