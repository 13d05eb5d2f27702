"""The report of the doctor: it collects findings, each of a kind (`finding_kinds`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from api.doctor.finding_kinds import KINDS

KEPT = 10_000
"""How many findings of one kind a report names. The others are only counted."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding. It holds ids and reasons, no personal data."""

    kind: str
    id: str
    """Id of the enrolment, the message, the outbox row or the touch; the scope of a breaker; the segment; the
    handoff, or its team and salesperson."""
    detail: str = ""
    workflow_id: str = ""
    enrollment_id: str = ""


@dataclass
class Report:
    """All findings, and how much was checked."""

    findings: list[Finding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    enrollments: int = 0
    """Live enrolments, compared or too young to be compared."""
    runs: int = 0
    """Live runs listed."""
    looked_into: int = 0
    """Runs that were examined in detail."""
    young: int = 0
    """Enrolments too young to be compared: Temporal's lists may not have their runs yet."""
    told: int = 0
    """Live enrolments whose runs were signaled: see `store.runs.outbox.signaled_runs`."""
    passed_over: int = 0
    """How many of these were not examined because the check had reached its limit of runs."""

    @property
    def healthy(self) -> bool:
        return not self.counts

    def add(self, finding: Finding, count: int = 1) -> None:
        """Add a finding. `count` is more than 1 if it stands for many that are not named."""
        if self.counts[finding.kind] < KEPT:
            self.findings.append(finding)
        self.counts[finding.kind] += count

    def add_all(self, kind: str, count: int, named: list[Finding]) -> None:
        """Add findings of one kind: `count` exist, and `named` holds only the first of them."""
        if count:
            self.findings += named
            self.counts[kind] += max(count, len(named))

    def of(self, kind: str) -> list[Finding]:
        """The named findings of a kind."""
        return [finding for finding in self.findings if finding.kind == kind]

    def to_json(self) -> dict[str, Any]:
        """The report as JSON for programs."""
        groups = [
            {
                "kind": kind,
                "count": self.counts[kind],
                "title": told.title,
                "meaning": told.meaning,
                "advice": told.advice,
                "repairs": told.repairs,
                "findings": [
                    {name: getattr(it, name) for name in ("id", "workflow_id", "enrollment_id", "detail")}
                    for it in self.of(kind)
                ],
            }
            for kind, told in KINDS.items()
            if self.counts[kind]
        ]
        looked = {
            name: getattr(self, name) for name in ("enrollments", "young", "runs", "told", "passed_over", "looked_into")
        }
        return {"healthy": self.healthy, **looked, "groups": groups}
