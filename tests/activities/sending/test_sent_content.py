"""What is stored of each rendered message: its inputs, and its text for as long as the policy says."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

import pytest

from activities.sending.breakers_and_quota import CLEAR_EVERY, RENDERINGS, Watch
from store.engine.background import periodic_jobs
from store.engine.sql import utc_now
from store.published import policies
from store.sending.messages import message_content
from store.sending.messages.message_content import MessageContent
from tests.activities.activity_runner import NAME, ActivityRunner
from tests.conftest import DevServer
from tracks.policy.workspace_policy import parse_policy
from tracks.shared.problems import TrackProblems


async def keep(runner: ActivityRunner, span: str) -> None:
    async with runner.db.transaction() as tx:
        await policies.publish(tx, parse_policy(f"keep_sent: {span}\n"), "")


async def kept(runner: ActivityRunner, message_id: str) -> MessageContent:
    async with runner.db.transaction() as tx:
        found = await message_content.get(tx, message_id)
    assert found is not None
    return found


async def test_without_a_policy_only_what_it_was_made_of_is_kept(runner: ActivityRunner) -> None:
    sent = await runner.send("hello")
    (mail,) = runner.providers.accepted(runner.email)
    found = await kept(runner, sent.message_id)
    assert (found.template, found.template_version, found.rendering, found.kept_until) == ("hello", 1, None, None)
    assert found.subject_digest == hashlib.sha256(mail["subject"].encode()).hexdigest()
    assert NAME not in str(await runner.store.rows("SELECT * FROM message_content"))


async def test_the_text_is_kept_as_it_went_out_until_its_time_is_over(
    runner: ActivityRunner, dev_server: DevServer
) -> None:
    await keep(runner, "2h")
    email, text = await runner.send("hello"), await runner.send("nudge")
    (mail,), (sms,) = (
        runner.providers.accepted(runner.email, "email"),
        runner.providers.accepted(runner.phone, "sms"),
    )
    shown = await kept(runner, email.message_id)
    assert shown.rendering == {"subject": mail["subject"], "html": mail["html"], "text": mail["text"]}
    assert (await kept(runner, text.message_id)).rendering == {"subject": None, "html": None, "text": sms["text"]}
    assert shown.kept_until is not None
    assert abs(shown.kept_until - utc_now() - timedelta(hours=2)) < timedelta(minutes=1)

    await runner.store.rows(
        "UPDATE message_content SET kept_until = now() - interval '1 s' WHERE message_id = :id RETURNING 1",
        id=email.message_id,
    )
    watch = Watch(
        runner.db,
        runner.activities.providers.email,
        await dev_server.connect(),
        runner.providers.settings(queue_rates={}),
    )
    await watch.clear_renderings()
    assert ((await kept(runner, email.message_id)).rendering, (await kept(runner, text.message_id)).rendering) == (
        None,
        {"subject": None, "html": None, "text": sms["text"]},
    )
    async with runner.db.transaction() as tx:  # and again soon
        assert not await periodic_jobs.any_due(tx, [RENDERINGS], utc_now())
        assert await periodic_jobs.any_due(tx, [RENDERINGS], utc_now() + CLEAR_EVERY)


async def test_a_message_that_is_written_again_is_kept_as_it_was_sent_at_last(runner: ActivityRunner) -> None:
    runner.providers.fault("ses", "429", times=1, match=runner.email)
    with pytest.raises(Exception, match=r"\w"):
        await runner.send("hello")
    await runner.template("hello", "---\nkind: email\nsubject: Anew\n---\nHi. {{ unsubscribe_url }}\n")
    sent = await runner.send("hello", attempt=2)
    found = await kept(runner, sent.message_id)
    assert (found.template_version, found.subject_digest) == (2, hashlib.sha256(b"Anew").hexdigest())


async def test_a_persons_texts_go_with_them(runner: ActivityRunner) -> None:
    await keep(runner, "30d")
    sent = await runner.send("hello")
    assert (await kept(runner, sent.message_id)).rendering
    await runner.erase()
    found = await kept(runner, sent.message_id)
    assert (found.rendering, found.subject_digest, found.template) == (None, None, "hello")


@pytest.mark.parametrize("span", ["30m", "400d", "soon", 0])
def test_texts_are_kept_for_a_stated_time(span: Any) -> None:
    with pytest.raises(TrackProblems, match="keep_sent"):
        parse_policy(f"keep_sent: {span}\n")
