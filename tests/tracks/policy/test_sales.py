"""The policy's part about sales: what it says, what is wrong with it, and whom it holds messages for."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tracks.policy.workspace_policy import parse_policy, policy_from_data, policy_to_data
from tracks.shared.problems import TrackProblems

SALES = """
sales:
  teams:
    sales:
      owner: account_owner
      people:
        - {id: ada, name: Ada, email: ada@acme.test, crm_owner: '5'}
        - {id: emil, name: Emil, takes: 'contact.locale == "de"', away: true}
  reject_reasons: {not-a-fit: Not a fit}
  hold: {tracks: [news]}
"""


def test_it_survives_being_written_as_data_and_has_its_defaults() -> None:
    policy = parse_policy(SALES)
    assert policy_from_data(policy_to_data(policy)) == policy
    hold = policy.sales.hold
    assert hold is not None
    assert (hold.after_accepted, hold.messages) == (timedelta(days=14), "defer")
    assert (hold.covers("news"), hold.covers("other")) == (True, False)


def test_everything_wrong_is_said_at_once_with_its_line() -> None:
    text = """
sales:
  teams:
    sales:
      people:
        - {id: ada, name: Ada, takes: 'enrollment.track == "x"'}
        - {id: Bo, name: Bo, mail: bo@acme.test}
    empty: {people: []}
  hold: {tracks: everything, after_accepted: 800d}
"""
    with pytest.raises(TrackProblems) as error:
        parse_policy(text, "p.yaml")
    said = str(error.value)
    assert "p.yaml:6: takes: " in said
    assert "p.yaml:7: id: 'Bo' should be lower-case letters" in said
    assert "p.yaml:7: unknown key 'mail'" in said
    assert "p.yaml:8: people: needs at least 1" in said
    assert "p.yaml:9: tracks: 'everything' should be 'all'" in said
    assert "p.yaml:9: after_accepted: is longer than 366 days" in said


def test_salespeople_who_are_to_be_notified_need_an_address() -> None:
    with pytest.raises(TrackProblems) as error:
        parse_policy(SALES + "  notify: {from: leads@acme.test}\n  rest_after_rejection: 800d\n")
    said = str(error.value)
    assert "rest_after_rejection: is longer than 366 days" in said
    with pytest.raises(TrackProblems, match="has notify, but no email of emil in the team sales"):
        parse_policy(SALES + "  notify: {from: leads@acme.test}\n")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sales: {teams: {a: {people: [{id: x, name: X}]}}}", "has teams but no reject_reasons"),
        (
            "sales: {teams: {a: {people: [{id: x, name: X}, {id: x, name: Y}]}}, reject_reasons: {r: R}}",
            "has two people with the id 'x'",
        ),
    ],
)
def test_a_team_needs_reasons_and_people_with_ids_of_their_own(text: str, said: str) -> None:
    with pytest.raises(TrackProblems) as error:
        parse_policy(text)
    assert said in str(error.value)
