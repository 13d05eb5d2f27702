"""A deploy is published as a whole or not at all, and can be checked before."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from store.engine.database import Database
from store.published import publish_lock, templates
from tests.api.client import EMAIL_TEMPLATE, Api, track
from tracks.content.templates.template import parse_template

SENDER = "defaults: {email: {from: 'Ada <ada@acme.test>'}}\n"
SENDS = track("greet", more=SENDER, steps="  - id: hello\n    email: {template: hello}\n")
WAITS = track("greet", more=SENDER, steps="  - {id: settle, wait: 2d}\n  - id: hello\n    email: {template: hello}\n")
LOVELY = EMAIL_TEMPLATE.replace("Good", "Lovely")
NEEDS_PLAN = EMAIL_TEMPLATE.replace("subject: Welcome", "subject: x\nvariables: {plan: {required: true}}")
POLICY = "topics: {tips: {name: Tips}}\ncaps:\n  - {most: 1, per: 1d}\n"
BLOCK = '---\nkind: block\n---\n<mj-text>{{ %s }} <a href="{{ unsubscribe_url }}">Bye</a></mj-text>\n'
TAKES = EMAIL_TEMPLATE.replace("subject: Welcome", "subject: x\nblocks: {footer: {template: footer}}").replace(
    "</mj-column>", "{{ blocks.footer }}</mj-column>"
)


async def deploy(api: Api, **documents: Any) -> httpx.Response:
    written = {name: {"source": source} for name, source in documents.pop("templates", {}).items()}
    return await api.call("POST", "/v1/deploys", json=documents | ({"templates": written} if written else {}))


async def versions(api: Api) -> dict[str, int]:
    found = {f"track {one['track']}": one["version"] for one in (await api.get("/v1/tracks")).json()["tracks"]}
    listed = (await api.get("/v1/templates")).json()["templates"]
    found |= {f"template {one['template']}": one["version"] for one in listed}
    return found | {"policy": (await api.get("/v1/policy")).json()["version"]}


def outcomes(answer: httpx.Response) -> dict[str, tuple[int, str]]:
    assert answer.status_code == 200, answer.text
    return {f"{one['kind']} {one['name']}": (one["version"], one["outcome"]) for one in answer.json()["documents"]}


def told(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 422, answer.text
    return [f"{error['pointer']}:{error.get('line', '')} {error['detail']}" for error in answer.json()["errors"]]


async def test_one_document_that_is_refused_keeps_all_others_back(api: Api) -> None:
    await deploy(api, templates={"hello": EMAIL_TEMPLATE}, tracks={"greet": SENDS})
    before = await versions(api)
    broken = SENDS + "  - {id: later, wait: five days}\n"
    answer = await deploy(
        api, policy=POLICY, templates={"hello": LOVELY}, tracks={"greet": broken, "new": track("new")}
    )
    assert [words.partition(" ")[0] for words in told(answer)] == ["#/tracks/greet:7"]
    assert "The deploy has 1 problem; nothing was published." in answer.text
    assert await versions(api) == before


async def test_documents_may_name_what_comes_with_them(api: Api) -> None:
    on = "  - {id: rest, wait: 9d}\n  - {id: on, enroll: {track: %s}}\n"
    there = track("there", more="defaults: {sending: {topic: tips}}\n", steps=on % "back")
    back = track("back", more=SENDER, steps=on % "there" + "  - {id: x, email: {template: hello}}\n")
    documents = {"policy": POLICY, "templates": {"hello": EMAIL_TEMPLATE}, "tracks": {"there": there, "back": back}}
    assert set(outcomes(await deploy(api, **documents)).values()) == {(1, "new")}
    assert set(outcomes(await deploy(api, **documents)).values()) == {(1, "unchanged")}


async def test_a_dry_run_says_what_a_deploy_would_do_and_does_nothing(api: Api) -> None:
    await deploy(api, policy=POLICY, templates={"hello": EMAIL_TEMPLATE}, tracks={"greet": SENDS})
    before = await versions(api)
    documents: dict[str, Any] = {
        "policy": POLICY.replace("most: 1", "most: 2"),
        "templates": {"hello": LOVELY, "bye": EMAIL_TEMPLATE},
        "tracks": {"greet": SENDS},
    }
    dry = await deploy(api, **documents, dry_run=True)
    assert outcomes(dry) == {
        "policy policy": (2, "changed"),
        "template hello": (2, "changed"),
        "template bye": (1, "new"),
        "track greet": (1, "unchanged"),
    }
    assert await versions(api) == before
    done = await deploy(api, **documents)
    assert done.json() == dry.json() | {"dry_run": False}
    refused = await deploy(api, tracks={"greet": "track: greet\n"}, dry_run=True)
    assert refused.status_code == 422


async def test_who_overwrites_a_policy_is_told_what_changes(api: Api) -> None:
    await deploy(api, policy=POLICY)
    other = "caps:\n  - {most: 4, per: 7d}\nchannels: {sms: {opt_in: explicit}}\n"
    answer = await deploy(api, policy=other, dry_run=True)
    (policy,) = answer.json()["documents"]
    assert policy["changes"] == [
        'topics: removed: {"tips": {"name": "Tips"}}',
        "caps[0].most: 1 → 4",
        'caps[0].per: "1d" → "7d"',
        'channels: added: {"sms": {"opt_in": "explicit"}}',
    ]
    alone = await api.call("PUT", "/v1/policy", content=other, headers={"Content-Type": "application/yaml"})
    assert alone.json()["changes"] == policy["changes"]


async def test_people_in_flight_are_counted(api: Api, db: Database) -> None:
    more = "  - {id: after, wait: 9d}\n"
    await deploy(api, templates={"hello": EMAIL_TEMPLATE}, tracks={"greet": WAITS + more})
    for number, step in enumerate(("settle", "settle", "hello", "after", None)):
        await api.contact(f"c-{number}", email="ann@acme.test")
        run = (await api.enroll(f"c-{number}", "greet")).json()["id"]
        async with db.transaction() as tx:
            await tx.execute(text("UPDATE enrollment SET step = :step WHERE id = :id"), {"step": step, "id": run})
    changed = WAITS + "  - {id: after, wait: 8d}\n"
    for dry_run in (True, False):
        answer = await deploy(api, templates={"hello": LOVELY}, tracks={"greet": changed}, dry_run=dry_run)
        template, plan = answer.json()["documents"]
        assert template["reaches"] == [{"track": "greet", "version": 1, "runs": 4}], "one has passed the message"
        assert plan["staying"] == [{"track": "greet", "version": 1, "runs": 5}]


async def test_all_problems_of_all_documents_are_told_in_one_round(api: Api) -> None:
    words = """track: one
defaults: {email: {from: ada@acme.test}, sending: {topic: tipps}}
steps:
  - {id: a, wait: 2}
  - {id: b, email: {template: helo, hold: 3}}
  - {id: c, crm: {note: '{{ foo }}', stagee: x}}
  - {id: d, enroll: {track: nowhere}}
  - {id: e, set: {attributes: {x: '{{ event.name }}'}}}
"""
    answer = await deploy(
        api,
        policy=POLICY + "breakers: {}\n",
        templates={"hello": EMAIL_TEMPLATE.replace("Good", "{{ bar }}"), "Odd name": EMAIL_TEMPLATE},
        tracks={"one": words, "two": track("three")},
    )
    assert [line.split(";")[0] for line in told(answer)] == [
        "#/policy:4 unknown key 'breakers'",
        "#/templates/Odd name: the name 'Odd name' should be lower-case letters, digits and -, at most 63",
        "#/templates/hello:6 unknown variable 'bar'",
        "#/tracks/one:4 wait: needs a unit, such as 90s, 15m, 36h, 2d or 1w",
        "#/tracks/one:5 hold: needs a unit, such as 90s, 15m, 36h, 2d or 1w",
        "#/tracks/one:5 there is no template 'helo'",
        "#/tracks/one:6 note: unknown variable 'foo'",
        "#/tracks/one:6 unknown key 'stagee'",
        "#/tracks/one:7 there is no track 'nowhere'",
        "#/tracks/one:8 attributes.x: reads `event`, but no wait_for or handoff comes before this step",
        "#/tracks/two/track: The document says `track: three`, the address says two.",
    ]


async def test_a_template_and_the_track_that_fits_it_change_together(api: Api) -> None:
    await deploy(api, templates={"hello": EMAIL_TEMPLATE}, tracks={"greet": SENDS})
    assert "needs the variable 'plan'" in told(await deploy(api, templates={"hello": NEEDS_PLAN}))[0]
    fits = SENDS.replace("{template: hello}", "{template: hello, variables: {plan: team}}")
    assert outcomes(await deploy(api, templates={"hello": NEEDS_PLAN}, tracks={"greet": fits})) == {
        "template hello": (2, "changed"),
        "track greet": (2, "changed"),
    }


async def test_a_run_in_flight_keeps_a_template_that_its_version_could_not_send_back(api: Api) -> None:
    await deploy(api, templates={"hello": EMAIL_TEMPLATE}, tracks={"greet": SENDS})
    await api.contact("c-1", email="ann@acme.test")
    await api.enroll("c-1", "greet")
    fits = SENDS.replace("{template: hello}", "{template: hello, variables: {plan: team}}")
    (line,) = told(await deploy(api, templates={"hello": NEEDS_PLAN}, tracks={"greet": fits}))
    assert line.startswith("#/templates/hello: track greet version 1, step hello: ")


async def test_a_broken_block_is_the_only_thing_that_is_said_of_it(api: Api) -> None:
    tracks = {"greet": SENDS}
    for broken in ("colour", "'"):
        answer = await deploy(api, templates={"footer": BLOCK % broken, "hello": TAKES}, tracks=tracks)
        assert {line.partition(":")[0] for line in told(answer)} <= {"#/templates/footer", "#/templates/hello"}
        assert "there is no" not in answer.text
    sound = {"footer": BLOCK % "contact.id", "hello": TAKES}
    assert len(outcomes(await deploy(api, templates=sound, tracks=tracks))) == 3


async def test_who_takes_the_footer_away_is_told_the_real_reason_at_once(api: Api) -> None:
    bare = TAKES.replace(' <a href="{{ unsubscribe_url }}">Unsubscribe</a>', "")
    await deploy(api, templates={"footer": BLOCK % "contact.id", "hello": bare}, tracks={"greet": SENDS})
    answer = await api.template("hello", bare.replace("{{ blocks.footer }}", ""))
    said = [error["detail"] for error in answer.json()["errors"]]
    assert said[0].startswith("block `footer` is shown nowhere")
    assert "track greet version 1, step hello: template 'hello' shows no unsubscribe_url" in said[1]


async def test_deploys_take_turns_and_none_is_torn(api: Api) -> None:
    async def one(number: int) -> httpx.Response:
        names = ("a", "b", "c") if number % 2 else ("c", "b", "a")
        more = f"defaults: {{email: {{from: 'ada{number}@acme.test'}}}}\n"
        return await deploy(
            api,
            templates={name: EMAIL_TEMPLATE.replace("Good", f"{number}") for name in names},
            tracks={n: track(n, more=more, steps=f"  - {{id: x, email: {{template: {n}}}}}\n") for n in names},
        )

    answers = await asyncio.gather(*(one(number) for number in range(6)))
    taken = [{version for version, _ in outcomes(answer).values()} for answer in answers]
    assert sorted(next(iter(versions)) for versions in taken if len(versions) == 1) == [1, 2, 3, 4, 5, 6]


async def test_what_is_checked_cannot_change_before_it_is_published(api: Api, db: Database) -> None:
    """While a template that needs a variable is being published, a track that does not set it is published too."""
    await api.template("hello")
    needs = parse_template(NEEDS_PLAN)
    for together in (False, True):
        async with db.transaction() as tx:
            await publish_lock.take_turns(tx)
            await templates.publish(tx, "hello", needs.kind, NEEDS_PLAN, needs.model_dump(mode="json"))
            track_comes = asyncio.create_task(deploy(api, tracks={"greet": SENDS}) if together else api.publish(SENDS))
            await asyncio.sleep(0.3)
            assert not track_comes.done()
        assert "needs the variable 'plan'" in (await track_comes).text


@pytest.mark.parametrize("body", [{}, {"dry_run": True}, {"tracks": {}}, {"track": {"a": "x"}}, {"policy": 1}, []])
async def test_what_is_no_deploy_is_refused(api: Api, body: Any) -> None:
    assert (await api.call("POST", "/v1/deploys", json=body)).status_code == 422


async def test_documents_may_come_as_json(api: Api) -> None:
    data = {"track": "welcome", "steps": [{"id": "settle", "wait": "2d"}]}
    answer = await deploy(api, policy={"caps": [{"most": 1, "per": "1d"}]}, tracks={"welcome": data})
    assert set(outcomes(answer)) == {"policy policy", "track welcome"}
    assert (await api.get("/v1/tracks/welcome")).json()["data"] == data


async def test_names_like_perennials_own_events_are_worth_a_look(api: Api) -> None:
    written = track("welcome", more="exits: [{event: contact.updated, reason: gone}]\n")
    answers = [await api.publish(written), await deploy(api, tracks={"welcome": written})]
    for answer in answers:
        (warning,) = answer.json()["warnings"]
        assert "Perennial never makes 'contact.updated', so you have to send it" in warning["detail"]
    refused = await api.publish(written.replace("contact.updated", "contact.unsubscribd"))
    assert "did you mean 'contact.unsubscribed'?" in refused.text


async def test_tracks_that_would_enrol_each_other_without_a_pause_are_refused(api: Api) -> None:
    """Without this check, one contact passed through such tracks 217 times in twelve seconds."""
    pair = {
        name: f"track: {name}\nreentry: always\nsteps: [{{id: next, enroll: {{track: {other}}}}}]\n"
        for name, other in (("to-and", "fro"), ("fro", "to-and"))
    }
    assert any("fro → to-and → fro" in words for words in told(await deploy(api, tracks=pair)))
