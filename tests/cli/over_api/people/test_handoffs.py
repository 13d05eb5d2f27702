"""The commands by which an operator looks after handoffs and answers for sales."""

from __future__ import annotations

import json

from sqlalchemy import text

from store.engine.database import Database
from store.people.handoffs import answering
from tests.api.client import Api
from tests.api.resources.handoffs.leads import handed
from tests.cli.over_api.conftest import Command


async def test_handoffs_are_listed_shown_and_answered(served: Api, perennial: Command, db: Database) -> None:
    made = [await handed(served, db, f"user-{number}") for number in range(2)]
    listed = await perennial("handoffs", "list", "--salesperson", "ada")
    assert listed.exit_code == 0, listed.output
    assert "user-0" in listed.stdout and "user-1" not in listed.stdout
    shown = await perennial("handoffs", "show", made[0].id)
    assert "Did & much" in shown.stdout and "/handoff/" in shown.stdout
    taken = await perennial("handoffs", "accept", made[0].id)
    assert (taken.exit_code, taken.stdout) == (0, "The handoff of user-0 is now: accepted.\n")
    assert "was before: accepted" in (await perennial("handoffs", "accept", made[0].id)).stdout
    rejected = await perennial("handoffs", "reject", made[1].id, "--reason", "wrong-time", "--json")
    assert json.loads(rejected.stdout)["status"] == "rejected"
    assert "rejected (wrong-time)" in (await perennial("handoffs", "list")).stdout


async def test_the_quality_of_a_score_names_late_answers_and_leads_chosen_by_chance(
    served: Api, perennial: Command, db: Database
) -> None:
    made = [await handed(served, db, f"user-{number}") for number in range(2)]
    async with db.transaction() as tx:
        score = """UPDATE handoff SET explored = true, scores = '{"lead": {"grade": "warm", "points": {}}}'"""
        await tx.execute(text(score))
        await answering.settle(tx, made[0].effect_key, "expired")
    for one in made:
        await perennial("handoffs", "accept", one.id)
    shown = (await perennial("handoffs", "quality", "lead")).stdout
    assert "warm: 1 unanswered leads were answered later, 1 with yes" in shown
    assert "warm, handed over by chance: 1 answered, accepted 100 %" in shown


async def test_an_answer_that_is_not_taken_says_why(served: Api, perennial: Command, db: Database) -> None:
    made = await handed(served, db)
    unknown = await perennial("handoffs", "reject", made.id, "--reason", "no-such")
    assert unknown.exit_code == 1 and "There is no reason 'no-such'" in unknown.stderr
    await perennial("handoffs", "accept", made.id)
    late = await perennial("handoffs", "reject", made.id, "--reason", "wrong-time")
    assert late.exit_code == 0 and "kept as feedback" in late.stdout
