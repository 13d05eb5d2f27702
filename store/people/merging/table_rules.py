"""What a merge does with each table that has a contact's id. A test fails if a table has no rule here.

A new table whose rows belong to one contact needs one line: `Rule("move", key="id")`. Its rows then go to the
survivor, and an undone merge gives them back by the ids that the merge noted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

How = Literal["move", "fill", "stricter", "evaluate", "leave"]


@dataclass(frozen=True, slots=True)
class Rule:
    """What happens with the rows that have the merged id.

    - `move`: they go to the survivor as they are. `key` is the table's primary key, by which they are given back.
    - `fill`: the survivor's own values win, the missing ones come from the merged contact.
    - `stricter`: of both, what allows less.
    - `evaluate`: they are deleted, and the survivor is evaluated anew.
    - `leave`: they stay, for the reason in `why`.
    """

    how: How
    key: str = ""
    why: str = ""
    told: bool = True
    """Whether the answer of a merge counts them: not what merges keep for themselves."""


RULES: Mapping[str, Rule] = {
    "contact": Rule("fill"),
    "crm_contact": Rule("fill"),
    "event": Rule("move", key="event_id"),
    "future_event": Rule("move", key="event_id"),
    "enrollment": Rule("move", key="id"),
    "message": Rule("move", key="id"),
    "consent_change": Rule("move", key="id"),
    "crm_note": Rule("move", key="id"),
    "crm_task": Rule("move", key="id"),
    "handoff": Rule("move", key="id"),
    "hubspot_contact": Rule("move", key="object_id"),
    "hubspot_task": Rule("move", key="task_id"),
    "stripe_customer": Rule("move", key="customer_id"),
    "former_address": Rule("move", key="id", told=False),
    "consent": Rule("stricter"),
    "membership": Rule("evaluate"),
    "score_value": Rule("evaluate"),
    "erasure": Rule("leave", why="an erased id cannot be merged, and a merged one has no row here until it is erased"),
    "segment_webhook_contact": Rule("leave", why="a webhook has to be told that the merged id is no member any more"),
    "import_problem": Rule("leave", why="it reports what a line of a file said"),
    "merged_id": Rule("move", key="id"),
    "contact_merge": Rule("leave", why="it is the record of merges, by the ids as they were"),
}
"""By the table's name."""

MOVED: Mapping[str, str] = {table: rule.key for table, rule in RULES.items() if rule.how == "move"}
"""The tables whose rows move, and their keys."""
UNTOLD = frozenset(table for table, rule in RULES.items() if not rule.told)
"""The tables that the answer of a merge leaves out."""
