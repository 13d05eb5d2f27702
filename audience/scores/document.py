"""Read a score from its YAML file, or from data: all mistakes at once, each with its line.

```
score: sales-readiness
half_life: 14d
fit:
  - {id: team, when: contact.attributes.plan == "team", points: 20}
behaviour:
  - {id: pricing, event: page.viewed, where: event.properties.path == "/pricing", points: 10, cap: {most: 3, per: 1d}}
  - {id: idle, while: {did_not: app.used, within: 30d}, points: -15}
grades:
  cold:
  warm: 30
  hot: {enter: 60, leave: 50}
margin: 5
```
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationError

from audience.scores.grades import Grade, Grades, out_of_order
from audience.scores.rules import EventRule, FitRule, HalfLife, Score, While, WhileRule
from audience.segments.document import MAX_LEAVES, leaf_count, tree_of, tree_problems
from audience.segments.leaves.dates import DateLeaf
from audience.segments.members import Condition, EventLeaf, Members, leaves
from tracks.checks.error_messages import say_of
from tracks.model.values import SLUG, Model, Short, Slug, Text, wrong
from tracks.shared.problems import Problem
from tracks.shared.yaml_source import Path, Source, read_yaml
from tracks.static_analysis.built_in_events import misnamed

MAX_RULES = 50
MAX_GRADES = 10
MAX_THRESHOLD = 1_000_000


def _threshold(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > MAX_THRESHOLD:
        raise wrong("should be a number of points, such as 40")
    return value


def _margin(value: Any) -> Any:
    if _threshold(value) < 0:
        raise wrong("must not be negative")
    return value


Threshold = Annotated[int | float, BeforeValidator(_threshold)]


class Head(Model):
    """What a score says of itself."""

    score: Slug
    name: Short | None = None
    description: Text = ""
    owner: Short | None = None
    half_life: HalfLife | None = None
    fit: Any = None
    behaviour: Any = None
    grades: Any
    margin: Annotated[int | float, BeforeValidator(_margin)] = 0


class GradeEntry(Model):
    """A grade that is written as a mapping."""

    enter: Threshold
    leave: Threshold | None = None


_NUMBER: TypeAdapter[int | float] = TypeAdapter(Threshold)
_SLUG: TypeAdapter[str] = TypeAdapter(Slug)
_LASTS = "say how long its points last: half_life: 14d, half_life: never, or within: 90d"


@dataclass(frozen=True)
class Reading:
    """A score, read as far as possible; `score` is None where anything is wrong."""

    source: Source
    score: Score | None
    problems: tuple[Problem, ...] = ()


def read_score(text: str, file: str) -> Reading:
    """Read a score from YAML. Never raises; `file` is the name that problems show."""
    source = read_yaml(text)
    problems = [Problem(file, line, "", message) for line, message in source.problems]
    if source.data is not None or not problems:
        problems += [Problem(file, source.line(path), "", message) for path, message in _problems(source.data)]
    if problems:
        return Reading(source, None, tuple(sorted(set(problems))))
    return Reading(source, score_from_data(source.data))


def read_score_data(data: Any, file: str) -> Reading:
    """As `read_score`, for plain data such as JSON: problems have line 0."""
    problems = [Problem(file, 0, "", message) for _, message in _problems(data)]
    return Reading(Source(data=data), None if problems else score_from_data(data), tuple(sorted(set(problems))))


def score_from_data(data: Mapping[str, Any]) -> Score:
    """The score of valid data, such as that of a published version. Raises ValueError where it is not valid."""
    if problems := list(_problems(data)):
        raise ValueError("; ".join(message for _, message in problems))
    head = Head.model_validate(data)
    return Score(
        head.score,
        tuple(FitRule.model_validate(rule) for rule in head.fit or ()),
        tuple(_behaviour_rule(rule, head.half_life) for rule in head.behaviour or ()),
        _grades(head.grades, head.margin),
        head.name or head.score,
        head.description,
        head.owner,
    )


def _behaviour_rule(data: Mapping[str, Any], half_life: timedelta | None) -> EventRule | While:
    if "while" in data:
        rule = WhileRule.model_validate(data)
        return While(rule.id, tree_of(rule.while_), rule.points)
    read = EventRule.model_validate(data)
    lasts = read.half_life is not None or read.within is not None
    return read if lasts else read.model_copy(update={"half_life": half_life})


def _grades(data: Mapping[str, Any], margin: float) -> Grades:
    """The grades, in the order of their thresholds: a mapping's order may be lost where data is stored."""
    found = []
    for name, written in data.items():
        if written is None:
            found.append(Grade(name))
            continue
        entry = GradeEntry.model_validate(written if isinstance(written, Mapping) else {"enter": written})
        found.append(Grade(name, entry.enter, entry.enter - margin if entry.leave is None else entry.leave))
    return Grades(sorted(found, key=lambda grade: grade.enter))


def _problems(data: Any) -> Iterator[tuple[Path, str]]:
    if not isinstance(data, Mapping):
        yield (), "a score is a mapping: score, fit, behaviour, grades, …"
        return
    half_life = data.get("half_life")
    margin: float | None = None
    try:
        margin = Head.model_validate(data).margin
    except ValidationError as error:
        yield from say_of(Head, error, data)
    yield from misnamed(data)
    rules = [(kind, data[kind]) for kind in ("fit", "behaviour") if data.get(kind) is not None]
    count = 0
    ids: set[object] = set()
    for kind, listed in rules:
        if not isinstance(listed, list):
            yield (kind,), f"{kind}: should be a list of rules, each with an id and points"
            continue
        count += len(listed)
        for number, rule in enumerate(listed):
            yield from _rule_problems(kind, rule, (kind, number), half_life is not None)
            rule_id = rule.get("id") if isinstance(rule, Mapping) else None
            if isinstance(rule_id, str) and rule_id in ids:
                yield (kind, number, "id"), f"id: '{rule_id}' is the id of another rule"
            ids.add(rule_id if isinstance(rule_id, str) else None)
    if count == 0 and all(isinstance(listed, list) for _, listed in rules):
        yield (), "a score needs rules: fit, behaviour or both"
    if count > MAX_RULES:
        yield (), f"has {count} rules; at most {MAX_RULES} are allowed"
    if (total := sum(leaf_count(tree) for tree in _trees(data.get("behaviour")))) > MAX_LEAVES:
        yield ("behaviour",), f"the `while` of all rules have {total} leaves; at most {MAX_LEAVES} are allowed"
    if "grades" in data:
        yield from _grade_problems(data["grades"], margin)


def _trees(behaviour: Any) -> list[Any]:
    listed = behaviour if isinstance(behaviour, list) else []
    return [rule["while"] for rule in listed if isinstance(rule, Mapping) and "while" in rule]


def _rule_problems(kind: str, rule: Any, at: Path, has_default: bool) -> Iterator[tuple[Path, str]]:
    model: type[Model] = FitRule
    if kind == "behaviour" and isinstance(rule, Mapping):
        if ("event" in rule) == ("while" in rule):
            yield at, "a rule of behaviour has event, or while: points for each event, or while something is so"
            return
        model = EventRule if "event" in rule else WhileRule
    if not isinstance(rule, Mapping):
        yield at, "a rule is a mapping: id, points, and when in fit, or event in behaviour"
        return
    try:
        model.model_validate(rule)
    except ValidationError as error:
        for path, message in say_of(model, error, rule):
            yield (*at, *path), message
    if model is EventRule and not has_default and rule.get("half_life") is None and rule.get("within") is None:
        yield at, _LASTS
    if model is WhileRule:
        found = list(tree_problems(rule["while"], (*at, "while"), 1))
        yield from found
        if not found:
            yield from ((((*at, "while"), words)) for words in _while_problems(tree_of(rule["while"])))


def _while_problems(tree: Members) -> Iterator[str]:
    if any(isinstance(leaf, DateLeaf) and leaf.yearly for leaf in leaves(tree)):
        yield "a score has no yearly dates: its grade would change every year for ever"
    if not all(isinstance(leaf, Condition | DateLeaf | EventLeaf) for leaf in leaves(tree)):
        yield "a score can be about conditions, dates and what a contact did, and not about scores or segments"


def _grade_problems(data: Any, margin: float | None) -> Iterator[tuple[Path, str]]:
    if not isinstance(data, Mapping) or not 2 <= len(data) <= MAX_GRADES:
        how = "such as {cold: , warm: 40, hot: 70}"
        yield ("grades",), f"grades: should be a mapping of 2 to {MAX_GRADES} grades to thresholds, {how}"
        return
    wrongs = [problem for name, written in data.items() for problem in _entry_problems(name, written)]
    yield from wrongs
    lowest = [name for name, written in data.items() if written is None]
    if len(lowest) != 1:
        others = f"; these have none: {', '.join(map(str, lowest))}" if lowest else ""
        yield ("grades",), f"grades: exactly one has no threshold, the lowest, such as `cold:`{others}"
    elif not wrongs and margin is not None:
        yield from _order_problems(_grades(data, margin))


def _entry_problems(name: Any, written: Any) -> Iterator[tuple[Path, str]]:
    at: Path = ("grades", name)
    try:
        _SLUG.validate_python(name)
    except ValidationError:
        yield at, f"grades: the name '{name}' should match {SLUG}"
    try:
        if isinstance(written, Mapping):
            entry = GradeEntry.model_validate(written)
            if entry.leave is not None and entry.leave > entry.enter:
                yield at, f"{name}: is left below {entry.leave}, which is above {entry.enter}, where it is entered"
        elif written is not None:
            _NUMBER.validate_python(written)
    except ValidationError as error:
        if isinstance(written, Mapping):
            yield from (((*at, *path), message) for path, message in say_of(GradeEntry, error, written))
        else:
            yield at, f"{name}: {error.errors()[0]['msg']}"


def _order_problems(grades: Grades) -> Iterator[tuple[Path, str]]:
    for lower, higher in zip(grades.all, grades.all[1:], strict=False):
        if lower.enter == higher.enter:
            yield ("grades", higher.name), f"{higher.name}: is entered at {higher.enter:g}, as {lower.name} is"
    for lower, higher in out_of_order(grades.all):
        yield (
            ("grades", higher.name),
            f"{higher.name}: is left below {higher.leave:g}, but {lower.name} already below {lower.leave:g}",
        )
