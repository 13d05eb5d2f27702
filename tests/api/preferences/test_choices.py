"""A saved preference page: the ticked choices are valid afterwards, and nothing else changes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from api.preferences.choices import CHANNELS, CHOSEN, SEEN, ChannelChoice, box, choices, chosen
from store.people.consents.consents import Consent, Status
from store.schema.rows import Channel, Contact
from tracks.policy.workspace_policy import Policy, policy_from_data

NOW = datetime(2026, 3, 2, tzinfo=UTC)
ANN = Contact("ann", email="ann@acme.test", phone="+15005550009")
TOPICS = ("a", "b", "c")
Held = dict[tuple[Channel, str], Status]

policies = st.builds(
    lambda topics, sms: policy_from_data(
        {"topics": {slug: {"name": slug, "opt_in": opt_in} for slug, opt_in in topics.items()}}
        | {"channels": {"sms": {"opt_in": sms}}}
    ),
    st.dictionaries(st.sampled_from(TOPICS), st.sampled_from(["implied", "explicit", "double"])),
    st.sampled_from(["implied", "explicit"]),
)
keys = st.tuples(st.sampled_from(CHANNELS), st.sampled_from(["", *TOPICS]))
held_by = st.dictionaries(keys, st.sampled_from(["granted", "pending", "withdrawn"]))
reasons = st.dictionaries(st.sampled_from(CHANNELS), st.sampled_from(["stop", "complained", "erased", "unsubscribed"]))


def consents(held: Held) -> list[Consent]:
    return [Consent(channel, topic, status, "form", "", NOW, None) for (channel, topic), status in held.items()]


def shown(now: list[ChannelChoice]) -> list[str]:
    return [
        name for c in now if not c.blocked for name in (box(c.channel), *(box(c.channel, t.slug) for t in c.topics))
    ]


def ticked(now: list[ChannelChoice]) -> set[str]:
    topics = {box(c.channel, t.slug) for c in now for t in c.topics if c.has(t)}
    return topics | {box(c.channel) for c in now if c.on}


@given(policy=policies, held=held_by, suppressed=reasons, data=st.data())
def test_what_is_ticked_holds_afterwards(
    policy: Policy, held: Held, suppressed: Mapping[Channel, str], data: st.DataObject
) -> None:
    now = choices(policy, ANN, consents(held), suppressed)
    wished = data.draw(st.sets(st.sampled_from(shown(now)))) if shown(now) else set()
    form = [(SEEN, name) for name in shown(now)] + [(CHOSEN, name) for name in wished]
    changes = chosen(now, form, "page", "", proven="email")

    after: Held = dict(held)
    open_again = dict(suppressed)
    for change in changes:
        status: Status = "granted" if change.status == "confirmed" else change.status
        topic = policy.topics.get(change.topic)
        if change.status == "granted" and topic is not None and topic.opt_in == "double":
            status = "pending"
        after[change.channel, change.topic] = status
        if change.topic == "" and status == "granted":
            open_again.pop(change.channel, None)
    then = choices(policy, ANN, consents(after), open_again)

    for before, choice in zip(now, then, strict=True):
        channel = choice.channel
        topics = {t.slug for t in choice.topics if box(channel, t.slug) in wished}
        if before.blocked:
            assert choice == before
            continue
        assert choice.on == (box(channel) in wished or (not before.on and bool(topics)))
        waiting = {t.slug for t in choice.topics if t.pending}
        has = {t.slug for t in choice.topics if choice.has(t)}
        if choice.on and (before.on or topics):
            assert has == topics - waiting
            assert not (waiting & topics) or channel != "email"
        elif choice.on:
            assert has == {t.slug for t in before.topics if t.own}


@given(policy=policies, held=held_by, suppressed=reasons)
def test_saving_the_page_as_it_is_shown_changes_nothing(
    policy: Policy, held: Held, suppressed: Mapping[Channel, str]
) -> None:
    now = choices(policy, ANN, consents(held), suppressed)
    form = [(SEEN, name) for name in shown(now)] + [(CHOSEN, name) for name in ticked(now)]
    assert chosen(now, form, "page", "", proven="email") == []


@given(policy=policies, held=held_by, names=st.sets(st.text(max_size=8)))
def test_boxes_that_the_page_did_not_have_count_for_nothing(policy: Policy, held: Held, names: set[str]) -> None:
    now = choices(policy, ANN, consents(held), {})
    form = [(CHOSEN, name) for name in (*shown(now), *names)]
    assert chosen(now, form, "page", "", proven="email") == []
