"""The message of a step, and its channel if the step names several."""

from __future__ import annotations

from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from activities.contract import StepCall
from activities.shared.step_content import find_in
from store.people import contacts
from store.schema.rows import Channel, Enrollment, Pinned
from store.sending.policy.channel_choice import Candidate, choose
from tracks.model.message_rules import rules_of
from tracks.model.steps.effects import Email, Sms
from tracks.model.steps.steps import MessageStep, SendStep
from tracks.model.track import Track
from tracks.shared.effect_keys import effect_key

MessageType = TypeVar("MessageType", Email, Sms)


class ElsewhereError(Exception):
    """The message has to use another channel."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)
        self.channel = channel


async def find_message(
    tx: AsyncConnection, pinned: Pinned, step: str, kind: type[MessageType]
) -> tuple[Track, MessageType]:
    """The message of that kind in a step, and its track.

    Raises LookupError if there is no such step, TypeError if the step sends no message of that kind.
    """
    track, found = await find_in(tx, pinned, step, MessageStep)
    for message in found.messages:
        if isinstance(message, kind):
            return track, message
    raise TypeError(f"step {step} sends no {kind.__name__}")


async def settle_channel(tx: AsyncConnection, enrollment: Enrollment, call: StepCall, channel: Channel) -> None:
    """Raise ElsewhereError if a step's message has to use another channel than this activity's.

    If no channel is allowed, this activity's claim continues and returns the reason. A channel that was chosen once is
    not chosen again, so a message moves from one activity to another at most once.
    """
    if call.channel == channel or enrollment.over:
        return
    track, step = await find_in(tx, enrollment, call.step, MessageStep)
    if not isinstance(step, SendStep):
        return
    contact = await contacts.get(tx, enrollment.contact_id)
    if contact is None:
        return
    rules = [(offer.channel, rules_of(track, offer.message)) for offer in step.send.channels]
    candidates = [Candidate(name, its.topic, its.transactional) for name, its in rules]
    key = effect_key(call.enrollment_id, call.step, call.occurrence)
    better = await choose(tx, contact, key, candidates, best=step.send.to == "best")
    if better not in (None, channel):
        assert better is not None
        raise ElsewhereError(better)
