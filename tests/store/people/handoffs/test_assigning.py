"""Who gets a lead: the owner, whoever has the contact, those who take such leads, the next in turn."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from tests.store.people.handoffs.handoff_calls import ADA_AND_EMIL, hand_over, handed, leads, team
from tests.store.store_calls import StoreCalls

GERMANS = 'contact.locale == "de"'


async def given_to(store: StoreCalls, contact_id: str, **more: Any) -> str | None:
    made = await hand_over(store, await leads(store, contact_id), **more)
    return made.salesperson if made else None


async def test_leads_go_round_in_the_order_of_the_team(store: StoreCalls) -> None:
    people = team({"id": "ada"}, {"id": "emil"}, {"id": "grace"})
    got = [await given_to(store, f"c{number}", to=people) for number in range(7)]
    assert got == ["ada", "emil", "grace", "ada", "emil", "grace", "ada"]


async def test_whoever_is_new_is_next_and_whoever_is_away_is_passed_over(store: StoreCalls) -> None:
    assert [await given_to(store, f"c{n}") for n in range(3)] == ["ada", "emil", "ada"]
    more = team({"id": "ada"}, {"id": "emil", "away": True}, {"id": "new"})
    assert [await given_to(store, f"d{n}", to=more) for n in range(3)] == ["new", "ada", "new"]
    assert await given_to(store, "e", to=team({"id": "ada", "away": True})) is None


async def test_turns_are_exact_when_many_leads_come_at_once(store: StoreCalls) -> None:
    people = team({"id": "ada"}, {"id": "emil"}, {"id": "grace"})
    runs = [await leads(store, f"c{number}") for number in range(30)]
    made = await asyncio.gather(*(hand_over(store, run, people) for run in runs))
    assert Counter(one.salesperson for one in made if one) == {"ada": 10, "emil": 10, "grace": 10}


async def test_teams_have_turns_of_their_own(store: StoreCalls) -> None:
    assert [await given_to(store, "a"), await given_to(store, "b", name="other")] == ["ada", "ada"]


@pytest.mark.parametrize("owner", ["emil", "EMIL@acme.test", "51", 51])
async def test_the_owner_gets_the_lead_and_uses_up_no_turn(store: StoreCalls, owner: object) -> None:
    people = team({"id": "ada"}, {"id": "emil", "email": "emil@acme.test", "crm_owner": "51"}, owner="account_owner")
    owned = await leads(store, "owned", attributes={"account_owner": owner})
    made = await hand_over(store, owned, people)
    assert made is not None and made.salesperson == "emil"
    assert [await given_to(store, f"c{n}", to=people) for n in range(2)] == ["ada", "emil"]


async def test_whoever_takes_such_leads_comes_before_those_who_take_any(store: StoreCalls) -> None:
    people = team({"id": "ada"}, {"id": "emil", "takes": GERMANS}, {"id": "eva", "takes": GERMANS})
    german = [await hand_over(store, await leads(store, f"d{n}", locale="de"), people) for n in range(3)]
    assert [one.salesperson for one in german if one] == ["emil", "eva", "emil"]
    assert await given_to(store, "other", to=people) == "ada"
    assert await given_to(store, "nobody", to=team({"id": "emil", "takes": GERMANS})) is None


async def test_a_condition_that_cannot_be_computed_takes_no_lead_and_is_counted(store: StoreCalls) -> None:
    people = team({"id": "ada"}, {"id": "emil", "takes": "contact.attributes.seats > 10"})
    run = await leads(store, "c", attributes={"seats": "many"})
    made = await hand_over(store, run, people)
    assert made is not None and made.salesperson == "ada"
    (row,) = await store.rows("SELECT kind, track FROM dropped")
    assert tuple(row) == ("handoff", "lead")


async def test_a_contact_stays_with_the_salesperson_who_has_them(store: StoreCalls) -> None:
    first = await handed(store)
    again = await hand_over(store, await store.enrolled("lead", key="2", properties={"n": "2"}))
    assert again is not None
    assert (first.salesperson, again.salesperson, again.seq) == ("ada", "ada", 2)
    assert await given_to(store, "other") == "emil"


async def test_a_repeated_attempt_finds_the_handoff_of_the_first(store: StoreCalls) -> None:
    run = await leads(store)
    first, *others = await asyncio.gather(*(hand_over(store, run) for _ in range(5)))
    assert others == [first] * 4
    assert await store.rows("SELECT turn FROM handoff_turn") == [(1,)]
    assert (await hand_over(store, run, ADA_AND_EMIL, occurrence=2)) != first
