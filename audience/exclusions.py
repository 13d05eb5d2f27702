"""Whom a track, or the whole workspace, leaves alone for what they did lately: the rule `unless`, a list of leaves.

```
unless:
  - {did: order.paid, within: 3d}
  - contact.attributes.plan == "enterprise"
```

The leaves are those of segments. Each excludes by itself.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from audience.segments.decision import Decider
from audience.segments.document import leaf_count, tree_of, tree_problems
from audience.segments.members import Members
from tracks.shared.yaml_source import Path

MAX_LEAVES = 20
"""Leaves of one rule: they are evaluated for each message."""
_MAX_WORDS = 80


@dataclass(frozen=True)
class Exclusion:
    """One part of the rule."""

    words: str
    """What it is about, as reasons say it: `order.paid within 3d`. Nothing of a contact."""
    members: Members
    """Who is excluded."""
    decider: Decider


def exclusions_of(data: Sequence[Any]) -> tuple[Exclusion, ...]:
    """The parts of a rule that was checked at publishing. Each rule is read once."""
    return _read(json.dumps(data, default=dict)) if data else ()


def exclusion_problems(data: Any, at: Path) -> Iterator[tuple[Path, str]]:
    """All problems of the leaves of a rule that stands at that path. What is no list is reported elsewhere."""
    if not isinstance(data, list | tuple):
        return
    for number, part in enumerate(data):
        yield from tree_problems(part, (*at, number), 2)
    if (count := sum(map(leaf_count, data))) > MAX_LEAVES:
        yield at, f"{at[-1]}: has {count} leaves; at most {MAX_LEAVES} are allowed"


@lru_cache(maxsize=1000)
def _read(text: str) -> tuple[Exclusion, ...]:
    found = []
    for part in json.loads(text):
        members = tree_of(part)
        found.append(Exclusion(_words(part), members, Decider(members)))
    return tuple(found)


def _words(part: Any) -> str:
    if isinstance(part, str):
        return "condition"
    kind, about = next(iter(part.items()))
    if kind in ("all", "any", "not"):
        return str(kind)
    spans = [f"{key} {part[key]}" for key in ("times", "is", "within", "before", "after") if key in part]
    return " ".join([*([] if kind == "did" else [kind]), str(about), *spans])[:_MAX_WORDS]
