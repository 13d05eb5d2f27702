"""Publishing reports everything that the renderer would silently omit, with its line and name."""

from __future__ import annotations

import time

import mrml
import pytest

from tracks.content.checks.template_check import check_template
from tracks.content.markup.mjml import ATTRIBUTES, CHILDREN, TAGS, place_of_fault, unknown_in
from tracks.content.rendering.message_context import MessageContext
from tracks.content.rendering.mjml_to_html import MAX_HTML
from tracks.content.rendering.preview import preview
from tracks.content.rendering.render import render_email
from tracks.content.rendering.template_error import TemplateError
from tracks.content.templates.blocks import Block
from tracks.content.templates.template import Template, TemplateProblems, parse_template

EMPTY = frozenset(
    ("mj-all", "mj-class", "mj-breakpoint", "mj-font", "mj-image", "mj-carousel-image", "mj-divider", "mj-spacer")
)
"""Tags without content."""


def email(body: str, **fields: object) -> Template:
    return Template.model_validate({"kind": "email", "subject": "Hello", "body": body, "body_line": 5, **fields})


def column(content: str) -> str:
    return f"<mjml>\n<mj-body>\n<mj-section>\n<mj-column>\n{content}\n</mj-column>\n</mj-section>\n</mj-body>\n</mjml>"


def minimal(tag: str) -> str:
    """A page with the tag in a valid place."""
    path = [tag]
    while path[0] != "mjml":
        parents = ("mj-attributes",) if path[0] in ("mj-all", "mj-class") else ()
        holding = [name for name, children in CHILDREN.items() if path[0] in children and name not in path]
        path.insert(0, (*parents, *holding)[0])
    inside = "" if tag in EMPTY or tag in CHILDREN or tag == "mj-attributes" else "x"
    page = f'<{tag} name="a">{inside}</{tag}>' if tag != "mj-raw" else "<mj-raw><b>x</b></mj-raw>"
    for around in reversed(path[:-1]):
        page = f"<{around}>{page}</{around}>"
    return page


@pytest.mark.parametrize("tag", sorted(TAGS))
def test_the_renderer_knows_every_tag_that_we_let_pass(tag: str) -> None:
    page = minimal(tag)
    made = mrml.to_html(page).content
    assert list(unknown_in(page)) == []
    unknown = page.replace(f"<{tag}", "<mj-unheard-of").replace(f"</{tag}", "</mj-unheard-of")
    try:
        other = mrml.to_html(unknown).content
    except OSError:
        return  # only known tags are accepted in this place, so it knew this one
    assert other != made or tag in ("mj-breakpoint", "mj-font", "mj-all", "mj-class")


@pytest.mark.parametrize(
    ("parent", "child"), [(p, child) for p, children in CHILDREN.items() for child in sorted(children)]
)
def test_the_renderer_takes_each_tag_where_we_let_it_stand(parent: str, child: str) -> None:
    held = minimal(child)
    inside = held[held.rindex(f"<{child}") : held.rindex(f"</{child}>") + len(child) + 3]
    page = minimal(parent).replace(f"</{parent}>", f"{inside}</{parent}>", 1)
    assert mrml.to_html(page).content
    assert list(unknown_in(page)) == []


def test_a_tag_that_the_renderer_does_not_know_is_told_with_its_line() -> None:
    head = (
        '<mjml>\n<mj-head>\n<mj-html-attributes><mj-selector path=".a"></mj-selector></mj-html-attributes>\n</mj-head>'
    )
    problems = check_template(email(f"{head}\n<mj-body></mj-body></mjml>"))
    assert [(problem.line, problem.message) for problem in problems] == [
        (7, "`mj-html-attributes` is not an MJML tag that the renderer knows"),
        (7, "`mj-selector` is not an MJML tag that the renderer knows"),
    ]


@pytest.mark.parametrize(
    ("body", "line", "part"),
    [
        (column('<mj-text fontsize="20px">x</mj-text>'), 9, "`fontsize` is not an attribute of MJML; did you mean '"),
        (column('<mj-text class="a">x</mj-text>'), 9, "did you mean 'css-class'?"),
        (column('<mj-button href="#" data-track="off">x</mj-button>'), 9, "`data-track` is not an attribute"),
        ("<mjml><mj-body>\n<mj-text>lost</mj-text></mj-body></mjml>", 6, "`mj-text` stands in `mj-body`, where nobody"),
        ("<mjml><mj-body>\n<mj-column></mj-column></mj-body></mjml>", 6, "belongs into `mj-group` or `mj-section`"),
        (column("<mj-text><p><mj-button>x</mj-button></p></mj-text>"), 9, "`mj-button` stands in `mj-text`"),
        (column("<mj-section></mj-section>"), 9, "it belongs into `mj-body` or `mj-wrapper`"),
        ("<mjml><mj-body>\n<div>lost</div></mj-body></mjml>", 6, "HTML belongs into `mj-text`, `mj-table` or `mj-raw`"),
        (column("<mj-image>x</mj-image>"), 9, "does not parse for a full contact: `x</mj-image> </mj-column>"),
        (column("<mj-navbar><p>x</p></mj-navbar>"), 9, "`<p>x</p></mj-navbar>"),
        (column("<mj-text>\n<b>x</mj-text>"), 10, "not valid XML for a full contact"),
    ],
)  # fmt: skip
def test_a_slip_in_mjml_is_told_with_line_and_name(body: str, line: int, part: str) -> None:
    (problem, *_) = check_template(email(body))
    assert part in problem.message
    assert problem.line == line


def test_a_slip_within_a_block_or_only_some_contacts_mail_is_told() -> None:
    blocks = {"a": Block(otherwise='<mj-text colour="red">x</mj-text>')}
    (problem,) = check_template(email(column("{{ blocks.a }}"), blocks=blocks))
    assert "`colour` is not an attribute" in problem.message
    some = '{% if contact.attributes.company %}<mj-text colour="red">x</mj-text>{% endif %}'
    (problem,) = check_template(email(column(some)))
    assert "`colour` is not an attribute" in problem.message and problem.line == 9


def test_what_may_stand_on_any_tag_may_stand_in_what_is_common_to_all() -> None:
    head = '<mj-head><mj-attributes><mj-all font-family="x" /><mj-class name="a" color="red" /><mj-text color="red" />'
    head += '</mj-attributes><mj-raw><meta name="color-scheme" content="light dark" /></mj-raw></mj-head>'
    page = column('<mj-text mj-class="a">x<br>y &nbsp;<img src="https://a.test/x.png" alt=""></mj-text>')
    assert check_template(email(page.replace("<mjml>", f"<mjml>{head}"))) == []
    assert {"font-size", "css-class", "padding-left", "background-url"} <= ATTRIBUTES


def test_where_the_renderer_stops_is_found_behind_letters_of_several_bytes() -> None:
    page = column("<mj-text>Grüße 🎉 aus Zürich</mj-text><mj-image>x</mj-image>")
    at = place_of_fault(page)
    assert at is not None and page[at:].startswith("x</mj-image>")
    assert place_of_fault(column("<mj-text>x</mj-text>")) is None


PAGES = ("<!DOCTYPE html><html><body>Hi</body></html>", "Hi<br>there", "<p class='x'>Hi</p>", "<table><tr>",
         "<mj-section>", 'Read <a href="https://a.test">this</a>')  # fmt: skip


@pytest.mark.parametrize("body", PAGES)
@pytest.mark.parametrize("kind", ["email", "sms"])
def test_html_in_a_message_of_plain_text_is_refused(kind: str, body: str) -> None:
    subject = "subject: Hello\n" if kind == "email" else ""
    template = parse_template(f"---\nkind: {kind}\n{subject}---\nHello,\n{body}\n")
    (problem,) = check_template(template)
    assert "as it stands: a message without `<mjml>` is plain text" in problem.message
    assert ("in MJML" in problem.message) is (kind == "email")
    assert problem.line == (6 if kind == "email" else 5)
    context = MessageContext({"id": "c", "attributes": {}}, {"id": "e", "properties": {}})
    assert any("is plain text" in warning for warning in preview(template, context).warnings)


def test_html_in_a_block_of_plain_text_is_refused() -> None:
    template = email("Hi {{ blocks.a }}", blocks={"a": Block(otherwise="<b>you</b>")})
    assert any("`<b>` as it stands" in problem.message for problem in check_template(template))


@pytest.mark.parametrize(
    "body", ["1 < 2 > 0", "I <3 you", "<ann@acme.test>", "Ann <a@b.test>", "<https://a.test>", "<you>"]
)
def test_angle_brackets_of_a_text_are_no_html(body: str) -> None:
    assert check_template(email(body)) == []


def test_a_page_larger_than_a_provider_takes_is_a_fault_of_its_message() -> None:
    rounds = "{% for i in (1..9000) %}<mj-section/>{% endfor %}"
    template = email(f"<mjml><mj-body>{rounds}</mj-body></mjml>")
    context = MessageContext({"id": "c", "attributes": {}}, {"id": "e", "properties": {}})
    began = time.process_time()
    with pytest.raises(TemplateError, match="HtmlTooLong"):
        render_email(template, context)
    assert time.process_time() - began < 4
    assert any("HtmlTooLong" in problem.message for problem in check_template(template))
    assert len(render_email(email(f"<mjml><mj-body>{'<mj-section/>' * 600}</mj-body></mjml>"), context).html) < MAX_HTML


def test_a_text_too_long_for_a_file_is_refused_also_as_json() -> None:
    with pytest.raises(TemplateProblems, match="more than 200,000"):
        parse_template("---\nkind: sms\n---\n" + "x" * 200_001)
    (problem, *_) = check_template(email("x" * 200_001))
    assert "more than 200,000 characters" in problem.message
