"""The sample contacts' actions, drawn from the seed. Each has an id, so that a restart does not repeat it."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from infra.demo.sample_contacts import Person

QUIET_AFTER = timedelta(days=14)
"""The segment `gone-quiet` of the library has who did not use the product for so long."""


@dataclass(frozen=True)
class Act:
    """An action of a contact, `days` on the run's clock after its cause.

    `kind` is `enroll` or `event` (a call to the API), or an action on a message in the sandbox: `open`, `click`,
    `reply`, `unsubscribe`.
    """

    id: str
    person: Person
    days: float
    kind: str
    story: str
    """The line in the live view; empty for none."""
    body: dict[str, Any] = field(default_factory=dict)
    goal: tuple[str, str | None] | None = None
    """The track and the key of the run that this event should convert."""
    quiet_on: float | None = None
    """The day on which the contact has gone quiet by this event. It happened `QUIET_AFTER` before that, in real time,
    because segments live in real time."""


def _dice(seed: int, *what: object) -> random.Random:
    return random.Random(f"{seed}/" + "/".join(map(str, what)))


def draw_life(seed: int, person: Person) -> list[Act]:
    """The actions of a contact that are no reaction to messages: enters, perhaps activates, buys, returns. `days` count
    from the beginning."""
    dice = _dice(seed, person.id)
    silent = dice.random() < 0.15
    if person.track == "trial-to-paid":
        return _trial(person, dice, silent)
    if person.track == "abandoned-cart":
        return _carts(person, dice, silent)
    return _inactive(person, dice, silent)


def draw_answer(seed: int, person: Person, message: dict[str, Any], number: int) -> list[Act]:
    """The reactions of a contact to their `number`-th message. `days` count from its arrival."""
    dice = _dice(seed, person.id, "message", number)
    if _dice(seed, person.id).random() < 0.15:  # silent contacts
        return []
    about, who = message["id"], person.first_name

    def act(kind: str, days: float, story: str, **body: Any) -> Act:
        return Act(f"{about}/{kind}", person, days, kind, story, {"message": about, "action": kind, **body})

    if message["channel"] == "sms":
        if dice.random() < 0.7:
            words = dice.choice(("Yes please, call me", "YES", "Not now, thanks", "What does the team plan cost?"))
            return [act("reply", dice.uniform(0.1, 0.6), f"{who} answers a text: “{words}”", text=words)]
        return []
    acts = []
    subject = message.get("subject", "")
    if dice.random() < 0.75:
        opened = dice.uniform(0.1, 0.9)
        acts.append(act("open", opened, f"{who} opens “{subject}”"))
        if dice.random() < 0.5 and len(message.get("links", ())) > 1:
            acts.append(act("click", opened + dice.uniform(0.02, 0.2), f"{who} clicks in “{subject}”"))
        elif dice.random() < 0.04:
            acts.append(act("unsubscribe", opened + 0.05, f"{who} unsubscribes"))
    return acts


def _event(
    person: Person, days: float, name: str, story: str, goal: tuple[str, str | None] | None = None, **properties: Any
) -> Act:
    part = str(properties.get("cart_id", ""))
    identity = f"{person.id}/{name}" + (f"/{part}" if part else "")
    body = {"event_id": identity, "contact_id": person.id, "name": name, "properties": properties}
    return Act(identity, person, days, "event", story, body, goal)


def _enroll(person: Person, days: float, **properties: Any) -> Act:
    body = {"track": person.track, "contact_id": person.id, "properties": properties}
    return Act(f"{person.id}/enroll/{properties.get('cart_id', '')}", person, days, "enroll", "", body)


def _trial(person: Person, dice: random.Random, silent: bool) -> list[Act]:
    who, plan = person.first_name, dice.choice(("solo", "team"))
    start = dice.uniform(0, 2)
    story = f"{who} of {person.attributes['company']} starts a trial"
    acts = [
        _event(person, start, "trial.started", story, plan=plan)
        if person.by_event
        else _enroll(person, start, plan=plan)
    ]
    if silent:
        return acts
    if dice.random() < 0.45:
        acts.append(_event(person, start + dice.uniform(0.4, 2.4), "app.activated", f"{who} gets the product going"))
    if dice.random() < 0.45:
        bought = start + dice.uniform(3, 19)
        acts.append(
            _event(person, bought, "subscription.started", f"{who} subscribes", ("trial-to-paid", None), plan=plan)
        )
    return acts


def _carts(person: Person, dice: random.Random, silent: bool) -> list[Act]:
    who, acts = person.first_name, []
    start = dice.uniform(0, 2)
    for number in range(2 if dice.random() < 0.3 else 1):
        cart = f"cart-{person.id[5:]}-{number + 1}"
        began = start + number * dice.uniform(0.5, 3)
        story = f"{who} leaves a cart"
        told: dict[str, Any] = {"cart_id": cart, "total": dice.randrange(20, 400)}
        acts.append(
            _event(person, began, "cart.abandoned", story, **told)
            if person.by_event
            else _enroll(person, began, **told)
        )
        fate = dice.random()
        if silent:
            continue
        if fate < 0.45:
            goal = ("abandoned-cart", cart)
            bought = began + dice.uniform(0.4, 4)
            acts.append(_event(person, bought, "order.completed", f"{who} buys the cart after all", goal, cart_id=cart))
        elif fate < 0.55:
            acts.append(_event(person, began + 1.5, "cart.emptied", f"{who} empties the cart", cart_id=cart))
    return acts


def _inactive(person: Person, dice: random.Random, silent: bool) -> list[Act]:
    who, start = person.first_name, dice.uniform(0, 2)
    acts = [_last_session(person, start) if person.by_event else _enroll(person, start)]
    if not silent and dice.random() < 0.35:
        back = start + dice.uniform(3, 12)
        acts.append(_event(person, back, "session.started", f"{who} comes back", ("win-back", None)))
    return acts


def _last_session(person: Person, quiet_on: float) -> Act:
    """The event of a session two weeks ago, sent at the beginning. Time alone makes the contact enter `gone-quiet`."""
    identity = f"{person.id}/last-session"
    body = {"event_id": identity, "contact_id": person.id, "name": "session.started", "properties": {}}
    return Act(identity, person, 0, "event", "", body, quiet_on=quiet_on)
