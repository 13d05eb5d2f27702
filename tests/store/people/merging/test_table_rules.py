"""Every table that holds a contact's id has a rule for merges, and the rule is carried out."""

from __future__ import annotations

from store.people.merging.table_rules import MOVED, RULES
from store.schema.tables.all_tables import metadata

HOLDING = {"contact_id", "merged_id"}
"""The names of columns that hold a contact's id."""


def test_every_table_with_a_contacts_id_has_a_rule_for_merges() -> None:
    holding = {name for name, table in metadata.tables.items() if HOLDING & set(table.c.keys())} | {"contact"}
    assert holding - set(RULES) == set(), "say in store/people/merging/table_rules.py what a merge does with it"
    assert set(RULES) - holding == set(), "there is no such table"


def test_a_rule_that_moves_rows_names_the_tables_primary_key() -> None:
    keys = {name: [column.name for column in metadata.tables[name].primary_key] for name in MOVED}
    assert {name: [key] for name, key in MOVED.items()} == keys


def test_a_rule_that_leaves_rows_says_why() -> None:
    assert all(bool(rule.why) == (rule.how == "leave") for rule in RULES.values())
