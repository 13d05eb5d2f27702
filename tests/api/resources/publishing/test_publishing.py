"""Tracks and templates are published and versioned; a refusal names all errors."""

from __future__ import annotations

import json

import pytest

from tests.api.client import EMAIL_TEMPLATE, Api, track

SENDS = track(
    "greet",
    more="defaults: {email: {from: 'Ada <ada@acme.test>'}}\n",
    steps="  - id: hello\n    email: {template: hello}\n",
)


async def test_an_event_that_ends_the_run_which_it_would_begin_is_worth_a_look(api: Api) -> None:
    more = "entry: {event: cart.changed}\nexits: [{event: cart.changed, reason: changed}]\n"
    [warning] = (await api.publish(track("cart", reentry="always", more=more))).json()["warnings"]
    assert "reentry: {restart: true}" in warning["detail"]
    for rule in ("never", "{restart: true}"):
        assert (await api.publish(track("cart", reentry=rule, more=more))).json()["warnings"] == []


async def test_a_new_track_is_created_and_the_same_again_changes_nothing(api: Api) -> None:
    first, second = await api.publish(track()), await api.publish(track())
    assert (first.status_code, first.json()) == (
        201,
        {"track": "welcome", "version": 1, "created": True, "warnings": []},
    )
    assert (second.status_code, second.json()) == (
        200,
        {"track": "welcome", "version": 1, "created": False, "warnings": []},
    )


async def test_a_changed_track_is_the_next_version_and_the_old_one_stays(api: Api) -> None:
    await api.publish(track())
    changed = await api.publish(track(reentry="always"))
    assert changed.json()["version"] == 2
    assert "never" in (await api.get("/v1/tracks/welcome", version=1)).json()["source"]
    newest = (await api.get("/v1/tracks/welcome")).json()
    assert (newest["version"], newest["data"]["reentry"]) == (2, "always")
    versions = (await api.get("/v1/tracks/welcome/versions")).json()
    assert [one["version"] for one in versions["versions"]] == [2, 1]


async def test_json_is_the_same_track_as_yaml(api: Api) -> None:
    data = {"track": "welcome", "reentry": "never", "steps": [{"id": "settle", "wait": "2d"}]}
    await api.publish("track: welcome\nsteps:\n  - {id: settle, wait: 2d}\n")
    answer = await api.call("PUT", "/v1/tracks/welcome", json=data)
    assert (answer.status_code, answer.json()["version"]) == (200, 1)


async def test_all_problems_of_a_track_are_told_with_their_lines_and_steps(api: Api) -> None:
    answer = await api.publish(
        "track: welcome\nreentry: sometimes\nsteps:\n  - id: one\n    wait: 2\n  - id: one\n    wait: 3d\n"
    )
    problem = answer.json()
    assert answer.status_code == 422
    assert "welcome" in problem["detail"]
    assert len(problem["errors"]) >= 3
    assert {2, 5} <= {error.get("line") for error in problem["errors"]}
    assert any(error.get("step") == "one" for error in problem["errors"])
    assert (await api.get("/v1/tracks/welcome")).status_code == 404


@pytest.mark.parametrize("body", ["", ":", "- 1", "track: [", "\t", "a: &a [*a]", "x: !!python/object:os.system {}"])
async def test_what_is_no_track_is_refused(api: Api, body: str) -> None:
    answer = await api.call("PUT", "/v1/tracks/welcome", content=body, headers={"Content-Type": "text/yaml"})
    assert answer.status_code == 422
    assert answer.json()["errors"]


async def test_bytes_that_are_no_text_are_refused(api: Api) -> None:
    for body in (b"\xff\xfe\x00", b"track: \x00"):
        answer = await api.call("PUT", "/v1/tracks/welcome", content=body, headers={"Content-Type": "text/yaml"})
        assert answer.status_code == 400


async def test_a_track_under_another_name_is_refused(api: Api) -> None:
    answer = await api.call(
        "PUT", "/v1/tracks/other", content=track("welcome"), headers={"Content-Type": "application/yaml"}
    )
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "#/track")


async def test_another_media_type_is_refused(api: Api) -> None:
    for path in ("/v1/tracks/welcome", "/v1/templates/hello"):
        answer = await api.call("PUT", path, content=b"GIF89a", headers={"Content-Type": "image/gif"})
        assert answer.status_code == 415


async def test_a_track_needs_its_templates_first(api: Api) -> None:
    refused = await api.publish(SENDS)
    assert refused.status_code == 422
    assert "hello" in refused.json()["errors"][0]["detail"]
    await api.template("hello")
    assert (await api.publish(SENDS)).status_code == 201


async def test_a_track_has_to_give_what_its_templates_require(api: Api) -> None:
    await api.template(
        "hello", EMAIL_TEMPLATE.replace("subject: Welcome", "subject: x\nvariables: {plan: {required: true}}")
    )
    refused = await api.publish(SENDS)
    assert refused.status_code == 422
    assert "plan" in refused.json()["errors"][0]["detail"]


async def test_a_pinned_template_version_has_to_exist(api: Api) -> None:
    await api.template("hello")
    pinned = SENDS.replace("template: hello", "template: hello, version: 2")
    assert (await api.publish(pinned)).status_code == 422
    await api.template("hello", EMAIL_TEMPLATE.replace("Good", "Lovely"))
    assert (await api.publish(pinned)).status_code == 201


async def test_a_template_is_versioned_like_a_track(api: Api) -> None:
    first, same = await api.template("hello"), await api.template("hello")
    assert (first.status_code, same.status_code) == (201, 200)
    changed = await api.template("hello", EMAIL_TEMPLATE.replace("Good", "Lovely"))
    assert (changed.status_code, changed.json()["version"]) == (201, 2)
    shown = (await api.get("/v1/templates/hello", version=1)).json()
    assert (shown["kind"], shown["source"]) == ("email", EMAIL_TEMPLATE)
    assert [one["version"] for one in (await api.get("/v1/templates/hello/versions")).json()["versions"]] == [2, 1]


async def test_a_template_may_come_as_json(api: Api) -> None:
    body = {"kind": "sms", "body": "Hi {{ name }}", "variables": {"name": {"default": "there"}}}
    answer = await api.call("PUT", "/v1/templates/ping", json=body)
    assert answer.status_code == 201
    assert (await api.get("/v1/templates/ping")).json()["variables"]["name"]["default"] == "there"


async def test_all_problems_of_a_template_are_told(api: Api) -> None:
    broken = EMAIL_TEMPLATE.replace("Good", "{{ nobody.knows }} {{ colour }}").replace(
        "</mj-text>", "<mj-blink/></mj-text>"
    )
    answer = await api.template("hello", broken)
    assert answer.status_code == 422
    said = json.dumps(answer.json()["errors"])
    for part in ("nobody", "colour", "mj-blink", '"line": 6'):
        assert part in said


async def test_lists_are_complete_page_by_page(api: Api) -> None:
    names = [f"t{number}" for number in range(5)]
    for name in names:
        await api.publish(track(name))
        await api.template(name)
    for path, listed in (("/v1/tracks", "tracks"), ("/v1/templates", "templates")):
        seen: list[str] = []
        cursor: str | None = None
        while True:
            params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
            page = (await api.get(path, **params)).json()
            seen += [one[listed[:-1]] for one in page[listed]]
            cursor = page["next"]
            if cursor is None:
                break
        assert seen == names


async def test_what_was_never_published_is_not_found(api: Api) -> None:
    for path in ("/v1/tracks/none", "/v1/tracks/none/versions", "/v1/templates/none", "/v1/templates/none/versions"):
        assert (await api.get(path)).status_code == 404


async def test_a_version_holds_all_its_languages(api: Api) -> None:
    german = EMAIL_TEMPLATE.replace("kind: email\n", "").replace("Welcome", "Willkommen")
    files = {"source": EMAIL_TEMPLATE, "locales": {"de": german}}
    first = await api.call("PUT", "/v1/templates/hello", json=files)
    again = await api.call("PUT", "/v1/templates/hello", json=dict(reversed(files.items())))
    assert (first.status_code, again.status_code) == (201, 200)
    shown = (await api.get("/v1/templates/hello")).json()
    assert (shown["source"], shown["locales"]) == (EMAIL_TEMPLATE, {"de": german})
    alone = await api.call("PUT", "/v1/templates/hello", json={"source": EMAIL_TEMPLATE})
    assert alone.json()["version"] == 2
    assert (await api.template("hello")).json() == {"template": "hello", "version": 2, "created": False}


NEEDS_PLAN = EMAIL_TEMPLATE.replace("subject: Welcome", "subject: x\nvariables: {plan: {required: true}}")


BREAKING = (
    (NEEDS_PLAN, "template 'hello' needs the variable 'plan'"),
    (EMAIL_TEMPLATE.replace("{{ unsubscribe_url }}", "https://acme.test"), "shows no unsubscribe_url"),
    ("---\nkind: sms\n---\nHi", "is for sms, not for email"),
    ("---\nkind: block\n---\nHi", "is a block, not email"),
)


async def test_a_template_that_a_track_in_use_could_not_send_is_refused(api: Api) -> None:
    await api.template("hello")
    await api.publish(SENDS)
    for source, said in BREAKING:
        refused = await api.template("hello", source)
        (error,) = refused.json()["errors"]
        assert (refused.status_code, error["step"]) == (422, "hello")
        assert "track greet version 1, step hello" in error["detail"] and said in error["detail"]
    assert (await api.get("/v1/templates/hello")).json()["version"] == 1
    pinned = SENDS.replace("{template: hello}", "{template: hello, version: 1}")
    assert (await api.publish(pinned)).status_code == 201
    answer = await api.template("hello", NEEDS_PLAN)
    assert answer.status_code == 201, "no run lives on the version of the track that took the newest"


async def test_a_version_of_a_track_counts_while_runs_live_on_it(api: Api) -> None:
    await api.template("hello")
    await api.publish(SENDS)
    await api.contact("c-1", email="ann@acme.test")
    run = (await api.enroll("c-1", "greet")).json()
    await api.publish(SENDS.replace("{template: hello}", "{template: hello, version: 1}"))
    refused = await api.template("hello", NEEDS_PLAN)
    assert "track greet version 1, step hello" in refused.text
    assert run["version"] == 1


async def test_a_subject_in_a_track_is_checked_with_its_template(api: Api) -> None:
    await api.template("hello")
    for subject, status in (
        ("Hi {{ nobody }}", 422),
        ("Hi {{ contact.attributes.x }}", 422),
        ("Hi {{ contact.id }}", 201),
    ):
        written = SENDS.replace("{template: hello}", f"{{template: hello, subject: '{subject}'}}")
        assert (await api.publish(written)).status_code == status


async def test_a_track_too_large_for_a_history_is_refused(api: Api) -> None:
    arm = "      - {when: 'enrollment.id == \"%s\"', steps: []}\n"
    steps = "  - id: which\n    branch:\n" + "".join(arm % ("x" * 900) for _ in range(300))
    answer = await api.publish(track(steps=steps))
    assert answer.status_code == 422
    assert "divide it into several tracks" in answer.json()["errors"][0]["detail"]
