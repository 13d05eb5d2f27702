"""No template takes long. An expensive one fails with a code, and only its own message is affected."""

from __future__ import annotations

import time

import pytest

from tracks.content.checks.template_check import check_template
from tracks.content.liquid import limits
from tracks.content.rendering import preview as rendering_preview
from tracks.content.rendering.liquid_rendering import render_text
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.preview import preview
from tracks.content.rendering.render import render_email
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.blocks import Block
from tracks.content.templates.template import Template

BIG = "contact.attributes.big"
GREEDY = {
    "endless loop": ("{% for i in (1..1000000000) %}x{% endfor %}", "LoopIterationLimitError"),
    "a loop as long as the contact says": (
        "{% for i in (1..contact.attributes.seats) %}x{% endfor %}",
        "LoopIterationLimitError",
    ),
    "nested loops": (
        "{% for i in (1..9999) %}{% for j in (1..9999) %}x{% endfor %}{% endfor %}",
        "LoopIterationLimitError",
    ),
    "a table within a table": (
        "{% tablerow i in (1..9999) %}{% tablerow j in (1..9999) %}x{% endtablerow %}{% endtablerow %}",
        "LoopIterationLimitError",
    ),
    "loops one after another": (
        "{% for i in (1..9999) %}{{ i }}{% endfor %}" * 60,
        "OutputStreamLimitError|WorkLimitError",
    ),
    "a loop over nothing much": (
        "{% for i in (1..9999) %}" + "{% if true %}{% endif %}" * 500 + "{% endfor %}",
        "WorkLimitError",
    ),
    "a range copied": ("{% for i in (1..1000000000) reversed %}x{% endfor %}", "LoopIterationLimitError"),
    "a range skipped through": (
        "{% for i in (1..1000000000) offset: 999999999 limit: 1 %}x{% endfor %}",
        "LoopIterationLimitError",
    ),
    "a range searched": ("{% if (1..1000000000) contains 'x' %}x{% endif %}", "LoopIterationLimitError"),
    "huge output": (f"{{% for i in (1..9999) %}}{{{{ {BIG} }}}}{{% endfor %}}", "OutputStreamLimitError"),
    "a text doubled": (
        "{% assign a = 'xx' %}{% for i in (1..40) %}{% assign a = a | append: a %}{% endfor %}{{ a }}",
        "LocalNamespaceLimitError",
    ),
    "a text doubled by capture": (
        "{% assign a = 'xx' %}{% for i in (1..40) %}{% capture a %}{{ a }}{{ a }}{% endcapture %}{% endfor %}",
        "LocalNamespaceLimitError",
    ),
    "a list doubled": (
        "{% assign a = contact.attributes.list %}{% for i in (1..40) %}{% assign a = a | concat: a %}{% endfor %}",
        "LocalNamespaceLimitError",
    ),
    "a number squared": (
        "{% assign n = 9 %}{% for i in (1..9999) %}{% assign n = n | times: n %}{% endfor %}",
        "LocalNamespaceLimitError",
    ),
    "a text replaced by itself": (
        f"{{{{ {BIG} | replace: 'x', {BIG} }}}}",
        "FilterArgumentError",
    ),
    "a long split": (f"{{{{ {BIG} | split: '' | sort | join: {BIG} }}}}", "FilterArgumentError"),
    "a long join": (
        f"{{% assign a = (1..5000) | join: ',' | split: ',' %}}{{{{ a | join: {BIG} }}}}",
        "LocalNamespaceLimitError|FilterArgumentError",
    ),
    "each compared with each": ("{{ contact.attributes.list | uniq | size }}", "WorkLimitError"),
    "a pattern over a long text, again and again": (
        f"{{% for i in (1..9999) %}}{{{{ {BIG} | strip_html | size }}}}{{% endfor %}}",
        "WorkLimitError",
    ),
    "a search in a long text, again and again": (
        "{% for i in (1..9999) %}" + f"{{% if {BIG} contains 'xy' %}}{{% endif %}}" * 20 + "{% endfor %}",
        "WorkLimitError",
    ),
    "a cycle of very many": (
        "{% for i in (1..9999) %}{% cycle " + ", ".join(["'a'"] * 5000) + " %}{% endfor %}",
        "WorkLimitError",
    ),
    "a list printed and kept, again and again": (
        "{% for i in (1..9999) %}{% capture q %}{{ contact.attributes.list }}{% endcapture %}{% endfor %}",
        "LocalNamespaceLimitError|WorkLimitError",
    ),
    "a list that is not another, again and again": (
        "{% for i in (1..9999) %}{% if contact.attributes.list != contact.attributes.twin %}{% endif %}{% endfor %}",
        "WorkLimitError",
    ),
    "a text before another, again and again": (
        f"{{% for i in (1..9999) %}}{{% if {BIG} < contact.attributes.same %}}{{% endif %}}{{% endfor %}}",
        "WorkLimitError",
    ),
    "a path that a text names, again and again": (
        f"{{% for i in (1..9999) %}}{{{{ contact[{BIG}] }}}}{{% endfor %}}",
        "WorkLimitError",
    ),
    "a name for each of very many": (
        "{% liquid\n" + "\n".join(f"assign a{n} = nil" for n in range(3000)) + "\n%}"
        "{% for i in (1..9999) %}{% assign b = nil %}{% endfor %}",
        "WorkLimitError",
    ),
    "a large number multiplied, again and again": (
        "{% for i in (1..9999) %}{% assign q = contact.attributes.huge | times: contact.attributes.huge %}{% endfor %}",
        "WorkLimitError",
    ),
    "a list mapped by a list": (
        "{% for i in (1..9999) %}{% assign q = contact.attributes.list | map: contact.attributes.list %}{% endfor %}",
        "WorkLimitError|Liquid.*|FilterError",
    ),
    "tags within tags": ("{% if true %}" * 100 + "x" + "{% endif %}" * 100, "BlockNestingError"),
    "a name within names": ("{{ a" + "[a" * 3000 + "]" * 3000 + " }}", "Liquid.*Error"),
    "brackets within brackets": ("{% if " + "(" * 3000 + "true" + ")" * 3000 + " %}x{% endif %}", "Liquid.*Error"),
}


def context() -> MessageContext:
    attributes = {
        "big": "x" * 100_000,
        "same": "x" * 100_000,
        "list": [{"a": n} for n in range(5000)],
        "twin": [{"a": n} for n in range(5000)],
        "seats": 10**12,
        "huge": 10**4000,
    }
    return MessageContext({"id": "c-1", "attributes": attributes}, {"id": "e-1", "properties": {}})


@pytest.mark.parametrize(("source", "code"), GREEDY.values(), ids=GREEDY.keys())
def test_a_greedy_template_is_stopped_soon_with_a_code(source: str, code: str) -> None:
    began = time.process_time()
    with pytest.raises(TemplateError, match=f"^({code})$"):
        render_text(source, context())
    assert time.process_time() - began < 8  # 0.5 s on most machines, 2.5 s on a shared one; minutes without the limit


def test_all_parts_of_a_message_share_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_WORK", 1000)
    part = "{% for i in (1..200) %}{% assign a = i %}{% endfor %}x"
    assert render_text(part, context()) == "x"
    blocks = {"a": Block(otherwise=part)}
    with pytest.raises(TemplateError, match="WorkLimitError"):
        render_email(Template(kind="email", subject="{{ blocks.a }}", blocks=blocks, body=part), context())


def test_mjml_nested_deep_enough_to_end_the_process_is_a_fault() -> None:
    deep = "{% for i in (1..5000) %}<i>{% endfor %}x{% for i in (1..5000) %}</i>{% endfor %}"
    body = (
        f"<mjml><mj-body><mj-section><mj-column><mj-text>{deep * 8}</mj-text></mj-column></mj-section></mj-body></mjml>"
    )
    with pytest.raises(TemplateError, match="MjmlTooDeep"):
        render_email(Template(kind="email", subject="x", body=body), context())


@pytest.mark.parametrize(
    "source",
    ["{{ a" + "[a" * 3000 + "]" * 3000 + " }}", "{% if true and " + "true and " * 20000 + "true %}x{% endif %}"],
)
def test_what_is_nested_too_deep_is_told_at_publishing(source: str) -> None:
    assert check_template(Template(kind="sms", body=source))


def test_an_ordinary_newsletter_is_far_from_the_limits() -> None:
    cells = "<p>{{ item.a | plus: 1 }} {{ item.b | default: 'x' }}</p>"
    rows = f"{{% for item in contact.attributes.list limit: 200 %}}{cells}{{% endfor %}}"
    assert render_text(rows, context()).count("<p>") == 200


def test_a_preview_tells_of_a_message_that_is_near_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    tenth = limits.MAX_WORK // 10
    for module in (limits, rendering_preview):
        monkeypatch.setattr(module, "MAX_WORK", tenth)
    loop = "{% for i in (1..900) %}" + "{% assign a = i | plus: 1 %}" * 6 + "{% endfor %}x"
    for rounds, told in ((1, False), (3, True)):
        seen = preview(Template(kind="sms", body=loop * rounds), context())
        assert any("% of the work that a message may take" in warning for warning in seen.warnings) is told
