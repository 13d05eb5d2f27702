"""Previews show the message and the reasons for its content. They send and store nothing."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from sqlalchemy import text

from store.engine.database import Database
from tests.api.client import EMAIL_TEMPLATE, Api
from tracks.content.brand import Brand

WELCOME = """---
kind: email
locale: en
subject: 'Hi {{ contact.attributes.first_name | default: "there" }}'
variables: {cta: {default: Go}}
blocks:
  why:
    - {name: shop, when: 'contact.attributes.industry == "retail"', text: Sell more}
    - {name: active, when: 'enrollment.steps.used == "happened"', text: Go on}
    - else: Begin
---
<mjml><mj-body><mj-section><mj-column><mj-text>
{{ blocks.why }}: {{ cta }} <a href="{{ unsubscribe_url }}">No</a></mj-text></mj-column></mj-section></mj-body></mjml>
"""
GERMAN = WELCOME.replace("Hi ", "Hallo ").replace("locale: en\n", "").split("blocks:")[0] + (
    "blocks: {why: {shop: Mehr verkaufen, active: Weiter so, else: Los}}\n---\n" + WELCOME.split("---\n")[2]
)
TRACK = """track: greet
defaults: {email: {from: 'Ada <ada@acme.test>'}, sms: {from: '+15005550006'}}
steps:
  - {id: hello, email: {template: welcome, subject: 'For {{ contact.id }}', variables: {cta: 'Go, {{ contact.id }}'}}}
  - {id: nudge, sms: {text: 'Hi {{ contact.attributes.first_name | default: "you" }}'}}
  - {id: either, send: {channels: [{sms: {text: First}}, {email: {template: welcome}}]}}
  - {id: settle, wait: 2d}
"""


async def publish(api: Api) -> None:
    answer = await api.call("PUT", "/v1/templates/welcome", json={"source": WELCOME, "locales": {"de": GERMAN}})
    assert answer.status_code == 201, answer.text


async def preview(api: Api, **body: Any) -> dict[str, Any]:
    answer = await api.call("POST", "/v1/templates/welcome/preview", json=body)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()
    return shown


async def test_a_preview_shows_the_brand_of_the_settings(api: Api, app: FastAPI) -> None:
    object.__setattr__(app.state.context, "brand", Brand("Acme"))
    shown = '{{ brand.name | default: "We" }}'
    source = f"---\nkind: email\nsubject: Hi\n---\n{shown}: {{{{ unsubscribe_url }}}}"
    await api.call("PUT", "/v1/templates/welcome", json={"source": source})
    assert (await preview(api, contact={"id": "c"}))["text"].startswith("Acme: ")


async def test_a_contact_is_shown_their_message_and_nothing_is_kept(api: Api, db: Database) -> None:
    await publish(api)
    await api.contact("c-1", locale="de_AT", attributes={"industry": "retail", "first_name": "Änn"})
    shown = await preview(api, contact_id="c-1", variables={"cta": "Geh, {{ contact.id }}"})
    assert (shown["subject"], shown["locale"], shown["version"], shown["kind"]) == ("Hallo Änn", "de", 1, "email")
    assert "Mehr verkaufen: Geh, c-1" in shown["text"]
    assert '<html lang="de"' in shown["html"]
    assert "https://nurture.acme.test/u/preview" in shown["html"]
    assert shown["blocks"] == [{"block": "why", "chosen": "shop", "passed": {}}]
    async with db.transaction() as tx:
        for table in ("message", "enrollment", "outbox"):
            assert (await tx.execute(text(f"SELECT count(*) FROM {table}"))).scalar_one() == 0


async def test_somebody_invented_in_another_language_who_did_something(api: Api) -> None:
    await publish(api)
    contact = {"attributes": {"industry": 7}, "locale": "de"}
    shown = await preview(api, contact=contact, locale="fr", enrollment={"steps": {"used": "happened"}})
    assert shown["blocks"] == [{"block": "why", "chosen": "active", "passed": {"shop": "false"}}]
    assert shown["locale"] == "en"
    assert any("no variant for fr" in warning for warning in shown["warnings"])
    assert any("first_name is missing" in warning for warning in shown["warnings"])


async def test_a_file_that_is_not_published_is_shown_or_its_faults_are(api: Api) -> None:
    await publish(api)
    changed = WELCOME.replace("Begin", "Start here")
    assert "Start here" in (await preview(api, source=changed, locales={"de": GERMAN}))["text"]
    assert "Begin" in (await preview(api))["text"]
    broken = {"source": changed, "locales": {"de": GERMAN.replace("{{ cta }}", "{{ cto }}")}}
    refused = (await api.call("POST", "/v1/templates/new/preview", json=broken)).json()
    assert refused["status"] == 422
    assert refused["errors"] == [
        {
            "detail": "locale de: unknown variable 'cto'; did you mean 'cta'?",
            "pointer": "#/locales/de",
            "line": 8,
        }
    ]


async def test_a_step_is_shown_with_its_own_words(api: Api) -> None:
    await publish(api)
    assert (await api.publish(TRACK)).status_code == 201
    shown = (await api.call("POST", "/v1/tracks/greet/steps/hello/preview", json={"contact": {"id": "x"}})).json()
    assert (shown["subject"], shown["template"], shown["version"]) == ("For x", "welcome", 1)
    assert "Go, x" in shown["text"]
    shown = (await api.call("POST", "/v1/tracks/greet/steps/nudge/preview", json={})).json()
    assert (shown["kind"], shown["text"], shown["segments"], shown["encoding"]) == ("sms", "Hi you", 1, "GSM-7")
    for body, words in (({}, "First"), ({"channel": "sms"}, "First"), ({"channel": "email"}, "Begin: Go No")):
        shown = (await api.call("POST", "/v1/tracks/greet/steps/either/preview", json=body)).json()
        assert words in shown["text"]


REFUSED: list[tuple[str, dict[str, Any], int, str]] = [
    ("templates/none", {}, 404, "template none"),
    ("templates/welcome", {"version": 9}, 404, "version 9"),
    ("templates/welcome", {"contact_id": "nobody"}, 404, "contact nobody"),
    ("templates/welcome", {"contact_id": "c", "contact": {}}, 422, "not both"),
    ("templates/welcome", {"source": WELCOME, "version": 1}, 422, "no version"),
    ("templates/welcome", {"subject": " "}, 422, "EmptySubject"),
    ("templates/welcome", {"subject": "{{"}, 422, "would fail"),
    ("templates/welcome", {"colour": "red"}, 422, "Extra inputs"),
    ("tracks/greet/steps/settle", {}, 422, "sends no message"),
    ("tracks/greet/steps/none", {}, 404, "step none"),
    ("tracks/none/steps/a", {}, 404, "track none"),
]


async def test_what_cannot_be_shown_is_told(api: Api) -> None:
    await publish(api)
    await api.publish(TRACK)
    for path, body, status, said in REFUSED:
        answer = await api.call("POST", f"/v1/{path}/preview", json=body)
        assert (answer.status_code, said in answer.text) == (status, True), answer.text


async def test_a_shared_block_is_copied_in_at_publishing(api: Api) -> None:
    user = EMAIL_TEMPLATE.replace("subject: Welcome", "subject: Hi\nblocks: {end: {template: footer}}").replace(
        "</mj-text>", "</mj-text>{{ blocks.end }}"
    )
    refused = await api.template("user", user)
    assert refused.status_code == 422
    assert "there is no template 'footer'" in refused.text
    for words in ("London", "Paris"):
        assert (await api.template("footer", f"---\nkind: block\n---\n<mj-text>{words}</mj-text>")).status_code == 201
        assert (await api.template("user", user)).status_code == 201
        shown = (await api.call("POST", "/v1/templates/user/preview", json={})).json()
        assert words in shown["text"]
    alone = (await api.call("POST", "/v1/templates/footer/preview", json={"version": 1})).json()
    assert alone["text"].strip() == "London"
    assert (await api.get("/v1/templates/user")).json()["blocks"] == {"end": ["else"]}


async def test_a_step_that_reads_what_a_wait_matched_is_shown_with_a_sample_event(api: Api) -> None:
    told = "sms: {text: 'Sent: {{ event.properties.number | default: \"soon\" }}', from: '+15005550006'}"
    shipped = "- {id: shipped, wait_for: {event: order.shipped, within: 3d}}"
    assert (await api.publish(f"track: parcels\nsteps:\n{shipped}\n- {{id: tell, {told}}}\n")).status_code == 201
    for event, words in ((None, "Sent: soon"), ({"properties": {"number": "Z-17"}}, "Sent: Z-17")):
        body = {"event": event} if event else {}
        shown = (await api.call("POST", "/v1/tracks/parcels/steps/tell/preview", json=body)).json()
        assert shown["text"] == words
