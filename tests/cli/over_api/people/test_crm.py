"""`perennial crm`: tasks are listed and done, notes and stages shown and written, salespeople signed in and out."""

from __future__ import annotations

import json

from store.engine.database import Database
from tests.api.client import Api
from tests.api.crm_calls import make_task
from tests.cli.over_api.conftest import Command


async def test_a_task_is_listed_until_it_is_done(perennial: Command, served: Api, db: Database) -> None:
    await served.contact("ann")
    task = await make_task(db, "ann", "Call", "ada")
    told = await perennial("crm", "tasks", "--owner", "ada")
    assert told.exit_code == 0 and task in told.output and "Call" in told.output, told.output
    told = await perennial("crm", "complete", task, "--outcome", "rejected", "--reason", "no-budget", "--note", "Hm")
    assert told.output == "Call: rejected (contact ann).\n"
    assert (await perennial("crm", "tasks")).output == "No task matches.\n"
    told = await perennial("crm", "tasks", "--status", "all", "--json")
    assert [one["reason"] for one in json.loads(told.output)] == ["no-budget"]
    told = await perennial("crm", "complete", task)
    assert told.exit_code == 1 and "done before" in told.output


async def test_notes_and_the_stage_are_shown_and_written(perennial: Command, served: Api) -> None:
    await served.contact("ann")
    assert (await perennial("crm", "notes", "ann")).output == "There are no notes.\n"
    told = await perennial("crm", "notes", "ann", "--add", "Wants an offer", "--by", "ada")
    assert "ada" in told.output and "Wants an offer" in told.output
    assert (await perennial("crm", "notes", "ann", "--by", "ada")).exit_code == 1
    assert (await perennial("crm", "stage", "ann")).output == "ann: no stage\n"
    assert (await perennial("crm", "stage", "ann", "--set", "lead")).output == "ann: lead\n"
    assert json.loads((await perennial("crm", "stage", "ann", "--json")).output) == {"stage": "lead", "fields": {}}
    assert (await perennial("crm", "stage", "ann", "--set", "")).output == "ann: no stage\n"
    assert (await perennial("crm", "stage", "nobody")).exit_code == 1


async def test_a_salesperson_gets_a_link_and_is_shut_out(perennial: Command, served: Api) -> None:
    told = await perennial("crm", "sign-in", "ada", "--days", "3")
    assert told.exit_code == 0 and "/crm/sign-in/" in told.output, told.output
    assert (await perennial("crm", "sign-out", "ada")).exit_code == 0
    assert (await perennial("crm", "sign-out", "ada")).exit_code == 1
