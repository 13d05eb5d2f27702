"""Turn pydantic's errors about a track into sentences that name the place and the right way to write it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from tracks.model.entry import Entry
from tracks.model.sending import Lately
from tracks.model.steps.simple_steps import Base
from tracks.model.steps.steps import MESSAGES, STEP_TYPES, Detour, Length
from tracks.model.track import ReentryAfter, ReentryPer, ReentryRestart, Track
from tracks.model.values import SLUG, STEP_ID
from tracks.shared.problems import meant
from tracks.shared.yaml_source import Path

_TAGS: dict[str, type[BaseModel]] = {
    **{f"#{verb}": model for verb, model in STEP_TYPES.items()},
    "#steps": Detour,
    "#length": Length,
    "#after": ReentryAfter,
    "#per": ReentryPer,
    "#restart": ReentryRestart,
    "#lately": Lately,
    "#entry": Entry,
    "#entries": Entry,
}
_AFTER_A_MESSAGE = ("skipped", "failed")
_SHAPES = {
    "string_type": "should be text",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a mapping",
    "model_type": "should be a mapping",
    "model_attributes_type": "should be a mapping",
    "bool_type": "should be true or false",
    "bool_parsing": "should be true or false",
    "int_type": "should be a whole number",
    "int_parsing": "should be a whole number",
    "int_from_float": "should be a whole number",
}


_ONE_EVENT = {
    "goal": "a track has one goal, not a list; other events can end the run in exits",
}
"""Keys that take no list: what to write instead."""
_ONE_NAME = {
    "Entry": "an entry takes one event; write a list of entries, [{event: …}, {event: …}]",
    "Goal": _ONE_EVENT["goal"],
    "ExitRule": "one event an exit; write an exit for each",
}
"""The same for the key `event`, by model. For any other model the text is "takes one name, not a list"."""
_WRITTEN = {
    "entry": "write {event: …}, {segment: …} or {date: {attribute: …}}, or a list of these",
    "date": "write {attribute: …}",
    "goal": "write {event: …}",
    "exits": "write [{event: …, reason: …}]",
    "reentry": "or {after: 30d}, {per: cart_id} or {restart: true}",
}
"""How to write a key, where the expected shape alone does not tell."""


def say(error: ValidationError, data: Any) -> Iterator[tuple[Path, str]]:
    """Each error in a track as its path in the data and a sentence."""
    return say_of(Track, error, data)


def say_of(whole: type[BaseModel], error: ValidationError, data: Any) -> Iterator[tuple[Path, str]]:
    """As `say`, for a document of another model."""
    for detail in error.errors(include_url=False):
        path, model, field = _place(whole, detail["loc"])
        key = next((part for part in reversed(path) if isinstance(part, str)), whole.__name__.lower())
        message = _sentence(detail, key, model, field, _at(data, path[:-1]))
        if detail["type"] == "union_tag_not_found" and (word := _wrong_verb(detail.get("input"))):
            path = (*path, word)
        if message:
            yield path, message


def _place(whole: type[BaseModel], loc: tuple[int | str, ...]) -> tuple[Path, type[BaseModel] | None, FieldInfo | None]:
    """Where an error stands in the data, and the model and field it is about."""
    model: type[BaseModel] | None = whole
    owner: type[BaseModel] | None = None
    field: FieldInfo | None = None
    path: list[str | int] = []
    for part in loc:
        if isinstance(part, str) and part.startswith("#"):
            model = _TAGS.get(part)
            continue
        if isinstance(part, str) and part == "[key]":
            continue
        path.append(part)
        if isinstance(part, str):
            owner, found = model, _field(model, part)
            if found is None and field is not None and _maps_names(field.annotation):
                field = None  # the author chose this name: the rest of the path is about the model behind it
                continue
            field = found
            model = _model_in(field.annotation) if field else None
    return tuple(path), owner, field


def _field(model: type[BaseModel] | None, key: str) -> FieldInfo | None:
    fields = model.model_fields if model else {}
    return next((field for name, field in fields.items() if (field.alias or name) == key), None)


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)


def _maps_names(annotation: Any) -> bool:
    return get_origin(annotation) is dict and _model_in(annotation) is not None


def _at(data: Any, path: Path) -> Any:
    for part in path:
        try:
            data = data[part]
        except (KeyError, IndexError, TypeError):
            return None
    return data


def _sentence(
    detail: ErrorDetails, key: str, model: type[BaseModel] | None, field: FieldInfo | None, parent: Any
) -> str:
    kind, context, value = detail["type"], detail.get("ctx") or {}, detail.get("input")
    match kind:
        case "perennial":
            return f"{key}: {detail['msg']}"
        case "missing":
            what = f": {field.description}" if field and field.description else ""
            return f"'{key}' is missing{what}"
        case "extra_forbidden":
            return _unknown_key(key, model, parent)
        case "union_tag_not_found" | "union_tag_invalid":
            return _no_verb(value)
        case "literal_error":
            expected = context["expected"].replace("True", "true")
            return f"{key}: {_short(value)} should be {expected}" + (_written(key) or _meant_literal(value, context))
        case "string_pattern_mismatch" if context.get("pattern") in (SLUG, STEP_ID):
            more = ", - and _" if context["pattern"] == STEP_ID else " and -"
            return f"{key}: {_short(value)} should be lower-case letters, digits{more}, at most 63, such as day-10"
        case "too_short" if isinstance(value, (list, tuple)) and len(value) >= context.get("min_length", 0):
            return ""  # pydantic counts only the valid items; the errors of the others are reported already
        case "too_short" | "string_too_short":
            return f"{key}: needs at least {context.get('min_length')}"
        case "too_long" | "string_too_long":
            return f"{key}: has more than {context.get('max_length')}"
    if kind in _SHAPES:
        if key in _ONE_EVENT and isinstance(value, (list, tuple)):
            return f"{key}: {_ONE_EVENT[key]}"
        if key == "event" and isinstance(value, (list, tuple)):
            return f"event: {_ONE_NAME.get(model.__name__ if model else '', 'takes one name, not a list')}"
        quoted = "; put it in quotes" if kind == "string_type" and isinstance(value, (int, float)) else _written(key)
        return f"{key}: {_short(value)} {_SHAPES[kind]}{quoted}"
    message = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{key}: {_short(value)} {message[:1].lower()}{message[1:]}"


def _written(key: str) -> str:
    return f"; {_WRITTEN[key]}" if key in _WRITTEN else ""


_ELSEWHERE = {
    ("Entry", "segments"): "an entry takes one segment; write a list of entries, [{segment: …}, {segment: …}]",
    ("Entry", "events"): "an entry takes one event; write a list of entries, [{event: …}, {event: …}]",
    (
        "Entry",
        "count",
    ): "a track is entered by each such event; to enter by a number of them, write a segment with times and segment: …",
    ("EntryDate", "every"): "write yearly: true",
    ("EntryDate", "leap_day"): "write feb_29: feb-28 or feb_29: mar-1",
    ("EntryDate", "weekdays"): "an entry knows no weekdays; begin with a step wait_until: {weekdays: […]}",
    ("EntryDate", "missing"): "who has no such date does not enter",
    ("EntryDate", "past"): "a date that has passed enrols nobody",
    ("Happening", "count"): "a wait_for takes one event; to wait for three, put it into a repeat with times: 3",
    ("Happening", "times"): "a wait_for takes one event; to wait for three, put it into a repeat with times: 3",
}
"""Keys that authors know from other tools: what to write here instead."""
_VERBS_ELSEWHERE = {
    **dict.fromkeys(("delay", "sleep", "pause"), "write wait: 2d"),
    **dict.fromkeys(("if", "condition", "switch", "filter"), "write branch: [{when: …, steps: […]}]"),
    **dict.fromkeys(("loop", "while", "for"), "write repeat: {times: 3, steps: […]}"),
    **dict.fromkeys(
        ("push", "in_app", "whatsapp", "slack"), "there is no such channel; call a system of yours by webhook"
    ),
    **dict.fromkeys(("segment", "segments"), "ask for '\"vip\" in contact.segments' in a branch"),
    **dict.fromkeys(("task", "note", "stage"), "write crm: {task: {title: …}}, {note: …} or {stage: …}"),
    **dict.fromkeys(("update", "attributes", "tag"), "write set: {attributes: {…}}"),
}
"""The same for verbs."""


def _unknown_key(key: str, model: type[BaseModel] | None, parent: Any) -> str:
    if model is None:
        return f"unknown key '{key}'"
    if said := _ELSEWHERE.get((model.__name__, key)):
        return f"unknown key '{key}': {said}"
    if issubclass(model, Base):
        verbs = [verb for verb in STEP_TYPES if isinstance(parent, Mapping) and verb in parent]
        if key in STEP_TYPES:
            return f"a step has exactly one verb; this one has {' and '.join(verbs)}: make them steps of their own"
        if key == "else":
            return "only a branch has an else beside it; the else of wait_for belongs inside wait_for"
        if key in _AFTER_A_MESSAGE:
            return f"only a message has {key} beside it: {', '.join(MESSAGES)}"
    return f"unknown key '{key}'" + meant(key, _keys(model))


def _no_verb(value: Any) -> str:
    if not isinstance(value, Mapping):
        return f"a step is a mapping with an id and one verb, not {_short(value)}"
    word = _wrong_verb(value)
    if word is not None:
        instead = _VERBS_ELSEWHERE.get(word)
        return f"unknown verb '{word}'" + (f": {instead}" if instead else meant(word, list(STEP_TYPES)))
    return f"the step has no verb: write one of {', '.join(STEP_TYPES)}"


def _wrong_verb(step: Any) -> str | None:
    keys = step if isinstance(step, Mapping) else ()
    return next((str(key) for key in keys if key not in ("id", "description", "else", *_AFTER_A_MESSAGE)), None)


def _meant_literal(value: Any, context: Mapping[str, Any]) -> str:
    words = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ",").split(",")]
    found = meant(value, words)
    return found if found.startswith("; did") else ""


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, (list, tuple)):
        return "a list"
    if value is None:
        return "nothing"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"'{text[:40]}…'" if len(text) > 40 else f"'{text}'"
