"""Run two sides in turn, pair by pair, each on fresh servers, and report medians and ratios."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measuring.measured_runs import Taken

Side = Callable[[Path], Awaitable[Taken]]
MEGABYTE = 1_000_000


@dataclass(frozen=True)
class Pair:
    """Both sides of one round."""

    ours: Taken
    bare: Taken


@dataclass(frozen=True)
class Row:
    """One line of a report: medians of both sides, the median of the pairs' ratios, and the budget of the ratio."""

    what: str
    ours: float
    bare: float | None = None
    ratio: float | None = None
    budget: str = ""
    kept: bool | None = None
    """Whether the budget is kept; None if there is none."""


async def pairs(ours: Side, bare: Side, count: int, console: Console) -> list[Pair]:
    """Run both sides `count` times and print the result of each. The side that begins alternates."""
    made: list[Pair] = []
    for number in range(count):
        taken: dict[str, Taken] = {}
        order = [("ours", ours), ("bare", bare)]
        for name, side in order if number % 2 == 0 else reversed(order):
            console.print(f"pair {number + 1} of {count}: {name} …", end=" ")
            with tempfile.TemporaryDirectory(prefix="perennial-bench-") as folder:
                taken[name] = await side(Path(folder))
            told = taken[name]
            console.print(f"{told.seconds:.0f} s, {told.cpu_counted:.1f} CPU-s, others {told.others:.2f} cores")
        made.append(Pair(taken["ours"], taken["bare"]))
    return made


def compare(
    made: Sequence[Pair],
    what: str,
    read: Callable[[Taken], float],
    *,
    at_most: float | None = None,
    at_least: float | None = None,
) -> Row:
    """A line about one figure of both sides. Its budget is for the ratio ours : bare."""
    ratio = median(read(pair.ours) / read(pair.bare) for pair in made)
    budget, kept = "", None
    if at_most is not None:
        budget, kept = f"≤ {at_most:g} times", ratio <= at_most
    if at_least is not None:
        budget, kept = f"≥ {at_least:g} times", ratio >= at_least
    both = [median(read(side) for side in sides) for sides in zip(*((p.ours, p.bare) for p in made), strict=True)]
    return Row(what, both[0], both[1], ratio, budget, kept)


def alone(what: str, values: Sequence[float], *, at_most: float | None = None) -> Row:
    """A line about a figure of ours alone, with its absolute budget."""
    value = median(values)
    return Row(what, value, budget="" if at_most is None else f"≤ {at_most:g}", kept=_within(value, at_most))


def _within(value: float, at_most: float | None) -> bool | None:
    return None if at_most is None else value <= at_most


def show(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Print a report."""
    table = Table(title=title, title_justify="left")
    for column in ("", "ours", "bare", "ratio", "budget", ""):
        table.add_column(column, justify="left" if column == "" else "right")
    for row in rows:
        kept = {None: "", True: "kept", False: "MISSED"}[row.kept]
        table.add_row(row.what, _number(row.ours), _number(row.bare), _number(row.ratio), row.budget, kept)
    console.print(table)


def as_json(rows: Sequence[Row], made: Sequence[Pair], machine: Mapping[str, Any]) -> dict[str, Any]:
    """A report as JSON: the lines, every pair, and the machine."""
    return {
        "machine": dict(machine),
        "rows": [
            {"what": r.what, "ours": r.ours, "bare": r.bare, "ratio": r.ratio, "budget": r.budget, "kept": r.kept}
            for r in rows
        ],
        "pairs": [{"ours": _taken(pair.ours), "bare": _taken(pair.bare)} for pair in made],
    }


def status(rows: Sequence[Row]) -> int:
    """The exit status: 1 if a budget was exceeded, else 0."""
    return 1 if any(row.kept is False for row in rows) else 0


def _taken(taken: Taken) -> dict[str, Any]:
    return {
        "seconds": taken.seconds,
        "cpu": dict(taken.cpu),
        "memory": dict(taken.memory),
        "others": taken.others,
        "figures": taken.figures,
    }


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
