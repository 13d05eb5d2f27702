"""Event names that look like Perennial's own: an obvious typing error is refused, others give a warning."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from tests.tracks.examples import data_problems
from tracks.checks.track_document import read_track_data
from tracks.model.date_entries import REACHED
from tracks.model.score_changes import GRADED
from tracks.model.segment_changes import ENTERED, LEFT
from tracks.model.track import Track
from tracks.runs.handoff_answers import EVENTS as HANDOFF_EVENTS
from tracks.static_analysis.built_in_events import OWN, PREFIXES
from tracks.static_analysis.model_fields import names_event

ROOT = Path(__file__).parents[3]
STEPS = [{"id": "x", "wait": "1d"}]
SAY = {"from": "+15005550006", "text": "hi"}
PLACES: dict[str, Any] = {
    "entry": lambda name: {"entry": {"event": name}},
    "entry.unless": lambda name: {"entry": {"event": "x", "unless": {"event": name, "within": "1d"}}},
    "goal": lambda name: {"goal": {"event": name}},
    "exits": lambda name: {"exits": [{"event": name, "reason": "x"}]},
    "defaults.sending.unless": lambda name: {"defaults": {"sending": {"unless": {"event": name, "within": "1d"}}}},
    "steps.wait_for": lambda name: {"steps": [{"id": "x", "wait_for": {"event": name, "within": "1d"}}]},
    "steps.sms.unless": lambda name: {
        "steps": [{"id": "x", "sms": {**SAY, "unless": {"event": name, "within": "1d"}}}]
    },
}
MODELS = {"Entry", "Goal", "ExitRule", "Lately", "Happening"}
"""The models that name an event. A new model must be added above."""


def models(annotation: Any, seen: set[type[BaseModel]]) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel) and annotation not in seen:
        seen.add(annotation)
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation, seen)
    for part in get_args(annotation):
        yield from models(part, seen)


def test_every_place_that_names_an_event_is_known() -> None:
    naming = {
        (model.__name__, field.alias or name)
        for model in models(Track, set())
        for name, field in model.model_fields.items()
        if names_event(field)
    }
    assert naming == {(model, "event") for model in MODELS}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("email.clickd", "email.clicked"),
        ("email.open", "email.opened"),
        ("sms.reply", None),
        ("Email.Clicked", "email.clicked"),
        ("contact.unsubscribe", "contact.unsubscribed"),
        ("stripe.payment_faild", "stripe.payment_failed"),
    ],
)
def test_a_slip_of_the_pen_is_refused_wherever_it_stands(place: str, name: str, right: str | None) -> None:
    data = {"track": "a", "steps": STEPS} | PLACES[place](name)
    found = data_problems(data)
    if right is None:
        assert [one.message for one in read_track_data(data).warnings()] != []
    else:
        assert [problem.partition("event: ")[2] for problem in found] == [
            f"there is no event '{name}'; did you mean '{right}'?"
        ]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", [*OWN, "order.paid", "emailed", "Order Completed", "email", "contact_updated"])
def test_names_that_are_right_and_names_of_ones_own_pass(place: str, name: str) -> None:
    read = read_track_data({"track": "a", "steps": STEPS} | PLACES[place](name))
    assert (read.problems, read.warnings()) == ((), [])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", ["contact.updated", "email.verified", "sms.opted_in"])
def test_names_that_perennial_never_makes_are_worth_a_look(place: str, name: str) -> None:
    read = read_track_data({"track": "a", "steps": STEPS} | PLACES[place](name))
    assert not read.problems
    (warning,) = read.warnings()
    assert f"Perennial never makes '{name}'" in warning.message


@pytest.mark.parametrize("name", ["emails.clicked", "email_clicked", "Email Opened", "e-mail.bounced", "SMS-replied"])
def test_names_that_only_read_like_perennials_own_are_worth_a_look(name: str) -> None:
    read = read_track_data({"track": "a", "steps": STEPS, "goal": {"event": name}})
    assert not read.problems
    (warning,) = read.warnings()
    assert warning.message.endswith("'?") and f"Perennial never makes '{name}'" in warning.message


def test_the_data_of_an_author_names_no_events() -> None:
    step = {"id": "x", "webhook": {"url": "https://a.test", "payload": {"event": "email.clickd"}}}
    read = read_track_data({"track": "a", "steps": [step]})
    assert (read.problems, read.warnings()) == ((), [])


def test_the_list_is_what_the_code_makes_and_what_the_page_says() -> None:
    own = re.compile(rf'"((?:{"|".join(PREFIXES)})\.[a-z_]+)"')
    made = {
        name
        for room in ("api", "store", "activities")
        for file in (ROOT / room).rglob("*.py")
        for name in own.findall(file.read_text())
    }
    made -= {"segment.name", "score.name", "handoff.html"}  # attributes of objects, and a page
    made -= {"segment.members", "segment.complete"}  # what webhooks are told of a segment
    made |= {f"{channel}.clicked" for channel in ("email", "sms")} | {"email.opened"}  # api/tracking builds them
    made |= {ENTERED, LEFT, GRADED, REACHED, *HANDOFF_EVENTS}
    assert made == set(OWN)
    page = (ROOT / "docs/reference/tracks/events-and-outcomes.md").read_text()
    table = page.partition("## Events that Perennial makes itself")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    assert {name for row in rows for name in re.findall(r"`([a-z._]+)`", row)} == set(OWN)
