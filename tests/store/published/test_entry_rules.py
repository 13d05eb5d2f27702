"""A track's rules are read back as they were written, also between different releases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.published.entry_rules import EntryRule, Reentry, Rules, rules_from_json, rules_of
from tests.store.store_calls import NOW
from tracks.checks.track_document import track_from_data
from tracks.static_analysis.entries_in_data import name_of_entry

LATELY = {"event": "order.paid", "within": "30d", "where": "event.properties.total > 5"}
REENTRY = {
    "never": "never",
    "always": "always",
    "after 30d": {"after": "30d"},
    "per cart_id": {"per": "cart_id"},
    "per sku, after 90d": {"per": "sku", "after": "90d"},
    "always, restart": {"restart": True},
    "after 30d, restart": {"after": "30d", "restart": True},
    "per cart_id, after 1d, restart": {"per": "cart_id", "after": "1d", "restart": True},
}
entries = st.fixed_dictionaries(
    {"event": st.just("cart.left")},
    optional={
        "where": st.just("event.properties.total > 5"),
        "unless": st.sampled_from(["contact.has_phone", LATELY, {"event": "x", "within": "1h"}]),
        "max_age": st.sampled_from(["1h", "7d", "3650d"]),
    },
)
dates = st.sampled_from(
    [
        {"date": {"attribute": "birthday", "yearly": True, "feb_29": "feb-28", "offset": "-3d"}},
        {"id": "ends", "date": {"attribute": "trial_ends_on", "time": "09:00"}, "max_age": "2d"},
        {"segment": "vip"},
    ]
)


def rules(entry: Any, reentry: Any) -> Rules:
    track = track_from_data({"track": "t", "entry": entry, "reentry": reentry, "steps": [{"id": "w", "wait": "1d"}]})
    return rules_of(track, None, NOW)


def named(entry: Any) -> str | None:
    return name_of_entry(entry)


several = st.one_of(entries, st.lists(st.one_of(entries, dates), min_size=1, max_size=4, unique_by=named))


@given(several, st.sampled_from(list(REENTRY.values())))
def test_rules_come_back_as_they_were(entry: Any, reentry: Any) -> None:
    written = rules(entry, reentry)
    assert rules_from_json(json.loads(json.dumps(written.to_json()))) == written


@given(entries, st.sampled_from(list(REENTRY.values())))
def test_a_release_that_knows_less_reads_what_it_knows(entry: dict[str, Any], reentry: Any) -> None:
    """During a rollout an older release runs beside a newer one, and reads `Reentry(**data["reentry"])`."""
    data = rules(entry, reentry).to_json()
    assert set(data["reentry"]) == {"kind", "seconds", "property"}
    assert {"entry_event", "entry_where"} <= set(data)


def test_a_release_that_knows_one_entry_reads_the_first_that_is_no_date() -> None:
    birthday = {"date": {"attribute": "birthday", "yearly": True, "feb_29": "feb-28"}}
    data = rules([birthday, {"event": "cart.left", "max_age": "1h"}, {"event": "cart.forgotten"}], "never").to_json()
    assert (data["entry_event"], data["entry_where"], data["entry_max_age"]) == ("cart.left", None, 3600.0)
    assert rules([birthday], "never").to_json()["entry_event"] is None


def test_what_an_older_release_wrote_is_read() -> None:
    old = {"reentry": {"kind": "after", "seconds": 60.0, "property": ""}, "entry_event": "a", "entry_where": None}
    assert rules_from_json(old) == Rules(Reentry("after", 60.0), (EntryRule("a"),))


@pytest.mark.parametrize(("words", "rule"), REENTRY.items())
def test_the_rule_in_words(words: str, rule: Any) -> None:
    assert str(rules({"event": "a"}, rule).reentry) == words
