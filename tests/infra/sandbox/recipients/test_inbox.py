"""The inbox's pages, without a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from tests.infra.sandbox.clients import simple_email
from tests.infra.sandbox.receiver import Receiver
from tests.sandbox_server import SandboxServer, eventually


def test_the_list_shows_the_newest_first_and_can_be_narrowed(
    sandbox: SandboxServer, send: Callable[..., str], twilio: Any, address: str, number: str
) -> None:
    send()
    twilio.messages.create(to=number, from_="+15005550006", body="Your code is 1 < 2")
    page = sandbox.http.get("/").text
    assert page.index(number) < page.index(address)
    assert "Grüezi &amp; welcome" in page
    assert "1 &lt; 2" in page
    only = sandbox.http.get("/", params={"to": address}).text
    assert address in only
    assert number not in only
    texts = sandbox.http.get("/", params={"channel": "sms"}).text
    assert address not in texts
    assert number in texts


def test_a_long_list_is_read_page_by_page(sandbox: SandboxServer, send: Callable[..., str], address: str) -> None:
    ids = [send() for _ in range(53)]
    seen: list[str] = []
    path: str | None = f"/?to={address}"
    while path:
        page = sandbox.http.get(path).text
        seen += re.findall(r'href="/m/([^"?]+)', page)
        older = re.search(r'class="older" href="([^"]+)"', page)
        path = older[1].replace("&amp;", "&") if older else None
    assert seen == ids[::-1]


def test_an_email_is_shown_in_a_frame_without_scripts_or_our_origin(
    sandbox: SandboxServer, ses: Any, address: str
) -> None:
    email = simple_email(address)
    email["Content"]["Simple"]["Body"]["Html"]["Data"] = "<html><head></head><body><script>x</script></body></html>"
    message_id = ses.send_email(**email)["MessageId"]
    page = sandbox.http.get(f"/m/{message_id}").text
    assert re.search(r'<iframe[^>]* sandbox="allow-popups allow-popups-to-escape-sandbox"', page)
    frame = sandbox.http.get(f"/m/{message_id}/html")
    assert "script-src 'none'" in frame.headers["content-security-policy"]
    assert frame.headers["content-security-policy"].startswith("sandbox ")
    assert "allow-same-origin" not in frame.headers["content-security-policy"]
    assert '<head><base target="_blank">' in frame.text


def test_what_a_message_says_never_becomes_markup_of_the_page(sandbox: SandboxServer, ses: Any, address: str) -> None:
    email = simple_email(address, FromEmailAddress='"<i>Ada" <ada@acme.test>')
    email["Content"]["Simple"]["Subject"]["Data"] = "<script>subject</script>"
    email["Content"]["Simple"]["Body"]["Text"]["Data"] = "<script>text</script> https://acme.test/?<script>"
    email["Content"]["Simple"]["Headers"].append({"Name": "X-Evil", "Value": "<script>header</script>"})
    message_id = ses.send_email(**email)["MessageId"]
    page = sandbox.http.get(f"/m/{message_id}", params={"to": '"><script>query</script>'}).text
    assert re.findall(r"<script[^>]*>", page) == ['<script src="/static/inbox.js" defer>']
    assert "<i>Ada" not in page


def test_the_text_part_shows_tracked_links(sandbox: SandboxServer, send: Callable[..., str]) -> None:
    message_id = send()
    page = sandbox.http.get(f"/m/{message_id}").text
    assert f'<a href="/l/{message_id}.0"' in page


def test_the_unsubscribe_button_works_without_a_script(
    sandbox: SandboxServer, receiver: Receiver, ses: Any, address: str
) -> None:
    email = simple_email(address)
    email["Content"]["Simple"]["Headers"][0]["Value"] = f"<{receiver.url}/u/{address}>"
    message_id = ses.send_email(**email)["MessageId"]
    assert 'value="unsubscribe"' in sandbox.http.get(f"/m/{message_id}").text
    response = sandbox.http.post(f"/m/{message_id}/act", data={"action": "unsubscribe"})
    assert (response.status_code, response.headers["location"]) == (303, f"/m/{message_id}")
    assert len(receiver.at(f"/u/{address}")) == 1
    assert "Unsubscribed" in sandbox.http.get(f"/m/{message_id}").text


def test_unsubscribing_where_nobody_answers_says_so(sandbox: SandboxServer, ses: Any, address: str) -> None:
    email = simple_email(address)
    email["Content"]["Simple"]["Headers"][0]["Value"] = "<http://127.0.0.1:9/u/1>"
    message_id = ses.send_email(**email)["MessageId"]
    response = sandbox.http.post(f"/m/{message_id}/act", data={"action": "unsubscribe"})
    assert response.status_code == 422
    assert "Nobody answers" in response.text


def test_an_email_that_cannot_be_left_has_no_unsubscribe_button(sandbox: SandboxServer, ses: Any, address: str) -> None:
    email = simple_email(address)
    del email["Content"]["Simple"]["Headers"]
    message_id = ses.send_email(**email)["MessageId"]
    assert 'value="unsubscribe"' not in sandbox.http.get(f"/m/{message_id}").text


def test_the_reply_box_answers_in_the_thread(
    sandbox: SandboxServer, receiver: Receiver, twilio: Any, number: str
) -> None:
    message = twilio.messages.create(to=number, from_="+15005550006", body="Shall we?")
    thread = f"/sms/{quote(number)}/{quote('+15005550006')}"
    assert sandbox.http.get(f"/m/{message.sid}").status_code == 303
    for text in ("Yes & no", "Later"):
        assert sandbox.http.post(thread, data={"text": text}).status_code == 303
    page = sandbox.http.get(thread).text
    assert page.index("Shall we?") < page.index("<p>Yes &amp; no</p>") < page.index("<p>Later</p>")

    def replies() -> list[str]:
        forms = [r.form() for r in receiver.at("/webhooks/twilio/inbound")]
        return [form["Body"] for form in forms if form["From"] == number]

    eventually(lambda: sorted(replies()) == ["Later", "Yes & no"])


def test_pages_that_are_not_there_say_so(sandbox: SandboxServer) -> None:
    for path in ("/m/nothing", "/sms/%2B410/%2B420", "/l/nothing.0", "/m/nothing/html"):
        assert sandbox.http.get(path).status_code == 404
