"""What came apart or waits too long is named and put right, and no message is sent a second time."""

from __future__ import annotations

from sqlalchemy import text

from bench.installation.one_process import Installation
from store.engine.sql import utc_now
from store.operations import doctor
from tests.api.doctor.doctor_calls import enrolled, named, repaired, sent_once, sql, until, workflow_of, working
from tracks.runs.run_interface import EndSignal

TEXTING = """
track: texting
defaults: {sms: {from: '+15005550006'}}
steps:
  - {id: text, sms: {text: 'Hi {{ contact.id }}'}}
  - {id: settle, wait: 30d}
"""


async def test_runs_and_enrollments_that_came_apart_are_named_and_put_right(installation: Installation) -> None:
    names = ["well", "terminated", "deleted", "unended", "deaf", "restored"]
    async with working(installation):
        ids = {name: await enrolled(installation, name) for name in names}
        for enrollment in ids.values():
            await installation.until(enrollment, "waiting")
        await named(installation)

        await workflow_of(installation, "terminated").terminate()
        lost = workflow_of(installation, "deleted")
        await lost.terminate()
        await sql(
            installation, "UPDATE enrollment SET workflow_id = workflow_id || '/gone' WHERE id = :id", id=ids["deleted"]
        )
        # a goal without its outbox row, an enrollment closed while its run lives, a database restored to yesterday
        await sql(
            installation,
            "UPDATE enrollment SET goal_reached_at = now() - interval '1 h' WHERE id = :id",
            id=ids["deaf"],
        )
        closed = "UPDATE enrollment SET status = 'exited', ended_at = now() - interval '1 h' WHERE id = :id"
        await sql(installation, closed, id=ids["unended"])
        await workflow_of(installation, "restored").signal("end", EndSignal(reason="moved-away"))
        await installation.until(ids["restored"], "exited")
        opened = "UPDATE enrollment SET status = 'active', ended_at = NULL, exit_reached_at = NULL WHERE id = :id"
        await sql(installation, opened, id=ids["restored"])
        unstarted = await enrolled(installation, "unstarted")
        await installation.until(unstarted, "waiting")
        await sql(installation, "UPDATE enrollment SET started_at = NULL WHERE id = :id", id=unstarted)
        await sql(installation, "DELETE FROM outbox WHERE enrollment_id = :id", id=unstarted)
        await workflow_of(installation, "unstarted").terminate()

        report = await named(
            installation,
            ("run-ended", ids["terminated"]),
            ("run-lost", ids["deleted"]),
            ("run-unended", ids["unended"]),
            ("run-deaf", ids["deaf"]),
            ("run-ended", ids["restored"]),
            ("lost-start", unstarted),
        )
        answers = await repaired(installation, report)
        assert {it.finding.id for it in answers if not it.done} == {ids["deleted"]}
        report = await named(installation, ("run-lost", ids["deleted"]))
        await repaired(installation, report, "restart")
        await named(installation)

        found = {name: await installation.call("GET", f"/v1/enrollments/{ids[name]}") for name in names}
        ends = {name: (it["status"], it["end_reason"]) for name, it in found.items() if it["ended_at"]}
        assert ends == {
            "terminated": ("exited", "run terminated"),
            "restored": ("exited", "moved-away"),
            "deaf": ("converted", "goal"),
            "unended": ("exited", None),
        }
        for again in (unstarted, ids["deleted"]):
            assert [step["step"] for step in (await installation.until(again, "waiting"))["path"]] == ["hello"]
        await sent_once(installation, *names, "unstarted")


async def test_whatever_waits_too_long_is_named_and_settled_without_sending_again(installation: Installation) -> None:
    await installation.publish("texting", TEXTING)
    phone = "+14155550611"
    async with working(installation):
        healthy = await enrolled(installation, "steady")
        await installation.until(healthy, "waiting")
        # otherwise a callback may settle it before the doctor asks
        await installation.misbehave("callback", "drop_before", times=None, match="/webhooks/twilio/")
        await installation.misbehave("ses", "drop_after", times=1, match="hangs-up@")
        await installation.misbehave("twilio", "drop_after", times=1, match=phone)
        try:
            email, texted = (
                await enrolled(installation, "hangs-up"),
                await enrolled(installation, "texted", "texting", phone=phone),
            )
            await installation.until(email, "reconciling", "waiting")
            await installation.until(texted, "reconciling")
        finally:
            await installation.sandbox.delete("/_control/faults")
        for name, track in (("hangs-up", "sleepy"), ("texted", "texting")):
            await workflow_of(installation, name, track).terminate()
        late = await enrolled(installation, "late")
        await installation.until(late, "waiting")
        await until(lambda: told_of_emails(installation))  # a later event of SES would settle the messages made below
    waiting = await enrolled(installation, "accepted")
    await sql(
        installation, "UPDATE outbox SET attempts = 3, reason = 'UNAVAILABLE' WHERE enrollment_id = :id", id=waiting
    )
    # the providers' callbacks never came, and one claim's owner was killed
    lost = "UPDATE message SET status = :status, provider_id = NULL, settled_at = NULL, reason = '' "
    await sql(installation, lost + "WHERE enrollment_id = :id", id=email, status="sending")
    await sql(installation, lost + "WHERE enrollment_id = :id", id=texted, status="unknown")
    ids = await messages_of(installation)
    await sql(
        installation,
        "UPDATE message SET status = 'deferred', due_at = now() - interval '1 h' WHERE enrollment_id = :id",
        id=late,
    )
    await sql(
        installation,
        "INSERT INTO touch (message_id, kind, by, at, due_at) SELECT id, 'open', 'human', now(), now() - interval '1 h'"
        " FROM message WHERE enrollment_id = :id",
        id=late,
    )
    async with installation.database.transaction() as tx:
        (row,) = (await doctor.undelivered(tx, utc_now(), 10))[1]
        (touch,) = (await doctor.held_touches(tx, utc_now(), 10))[1]
        (deferred,) = (await doctor.deferred(tx, utc_now(), 10))[1]
    expected = [
        ("no-leader", ""),
        ("outbox-late", str(row.id)),
        ("run-ended", email),
        ("run-ended", texted),
        ("message-stuck", ids[email]),
        ("message-stuck", ids[texted]),
        ("message-overdue", deferred.id),
        ("touch-late", touch.id),
    ]
    report = await named(installation, *expected)
    assert report.of("outbox-late")[0].detail.endswith("3 attempts: UNAVAILABLE")
    done = {it.finding.id: it.words for it in await repaired(installation, report) if it.done}
    assert (done[ids[email]], done[ids[texted]]) == ("sent", "sent")
    found = (await installation.call("GET", f"/v1/enrollments/{texted}"))["messages"]
    assert (found[0]["status"], found[0]["reason"]) == ("sent", "")  # Twilio's list has it: nothing is assumed
    await sql(installation, "UPDATE message SET status = 'sent' WHERE enrollment_id = :id", id=late)
    await sql(installation, "UPDATE touch SET due_at = NULL")
    async with working(installation):
        await installation.until(waiting, "waiting")
        await named(installation)
    await sent_once(installation, "steady", "hangs-up", "late", "accepted")
    assert len(await installation.accepted(phone)) == 1


async def told_of_emails(installation: Installation) -> bool:
    query = "SELECT count(*) FROM message WHERE channel = 'email' AND delivery IS DISTINCT FROM 'delivered'"
    async with installation.database.transaction() as tx:
        return bool((await tx.execute(text(query))).scalar_one() == 0)


async def messages_of(installation: Installation) -> dict[str, str]:
    async with installation.database.transaction() as tx:
        return {row.run: row.id for row in await tx.execute(text("SELECT id, enrollment_id AS run FROM message"))}
