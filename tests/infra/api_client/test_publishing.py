"""The documents of a folder, and previews in plain words."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from rich.console import Console

from cli.over_api.preview_shown import show
from infra.api_client.previews import PreviewRefusedError, ask, parse_pairs
from infra.api_client.publishing import publish, read_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {
        "a.yaml": "track: walk\nsteps: []\n",
        "templates/hello.mjml": "---\nkind: email\n---\nHello",
        "templates/hello.pt-BR.mjml": "---\n---\nOi",
        "templates/hello.de.mjml": "---\n---\nHallo",
        "templates/hello-again.liquid": "---\nkind: sms\n---\nHello",
        "templates/zz-footer.mjml": "---\nkind: block\n---\nBye",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_blocks_go_first_then_templates_with_their_languages_then_tracks(folder: Path) -> None:
    documents = read_folder(folder)
    assert [d.name for d in documents] == ["zz-footer", "hello", "hello-again", "walk"]
    assert documents[1].body()["locales"] == {"de": "---\n---\nHallo", "pt-BR": "---\n---\nOi"}
    assert "locales" not in documents[2].body()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("hello.de.liquid", "both the variant de of hello"),
        ("hallo.de.mjml", "variant of a template hallo that is not beside it"),
        ("hello.liquid", "both publish template hello"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(folder: Path, name: str, part: str) -> None:
    (folder / "templates" / name).write_text("---\nkind: sms\n---\nx")
    with pytest.raises(ValueError, match=part):
        read_folder(folder)


def answering(status: int, body: Any, asked: list[httpx.Request]) -> httpx.Client:
    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, json=body)

    return httpx.Client(base_url="http://api.test", transport=httpx.MockTransport(answer))


def test_a_problem_names_the_variants_own_file(folder: Path) -> None:
    hello = "#/templates/hello"
    errors = [
        {"detail": "locale de: no", "pointer": f"{hello}/locales/de", "line": 3},
        {"detail": "bad", "pointer": hello, "line": 2},
        {"detail": "worse", "pointer": "#/templates/hello-again"},
        {"detail": "no verb", "pointer": "#/tracks/walk", "line": 2, "step": "on"},
        {"detail": "all of it", "pointer": "#/else"},
    ]
    answer = publish(answering(422, {"detail": "x", "errors": errors}, []), read_folder(folder))
    assert answer.problems == (
        f"{folder}/templates/hello.de.mjml:3: locale de: no",
        f"{folder}/templates/hello.mjml:2: bad",
        f"{folder}/templates/hello-again.liquid: worse",
        f"{folder}/a.yaml:2: step on: no verb",
        "#/else: all of it",
    )


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (401, {"detail": "Send it."}, "The API does not know this key. Send it."),
        (429, {"detail": "Come again."}, "Come again."),
        (502, "no JSON of ours", "The API answered 502."),
    ],
)
def test_a_refusal_of_the_whole_is_said_once(folder: Path, status: int, body: Any, words: str) -> None:
    assert publish(answering(status, body, []), read_folder(folder)).problems == (words,)


def test_a_folder_is_one_request(folder: Path) -> None:
    asked: list[httpx.Request] = []
    told = {"kind": "track", "name": "walk", "version": 3, "outcome": "changed", "later": 1, "changes": []}
    runs = [{"track": "walk", "version": 1, "runs": 2}, {"track": "walk", "version": 2, "runs": 5}]
    told |= {"reaches": [], "staying": runs}
    warning = {"detail": "odd", "pointer": "#/tracks/walk", "line": 1}
    client = answering(200, {"documents": [told], "warnings": [warning]}, asked)
    answer = publish(client, read_folder(folder), dry_run=True)
    (request,) = asked
    sent = json.loads(request.content)
    assert (request.url.path, sent["dry_run"], sent["tracks"]) == (
        "/v1/deploys", True, {"walk": "track: walk\nsteps: []\n"},
    )  # fmt: skip
    assert set(sent["templates"]) == {"zz-footer", "hello", "hello-again"}
    assert list(answer.documents[0].words()) == [
        "track walk version 3 (changed)",
        "  7 in flight (walk version 1: 2, walk version 2: 5): they stay on the version they began with",
    ]
    assert answer.warnings == (f"{folder}/a.yaml:1: odd",)


SHOWN = {
    "kind": "email", "locale": "de", "subject": "Hallo [Ann]", "html": "<p>", "text": "Hallo\n", "segments": None,
    "encoding": None, "warnings": ["[odd]"],
    "blocks": [{"block": "why", "chosen": "else", "passed": {"shop": "missing"}}],
}  # fmt: skip


def test_a_variants_file_is_previewed_in_its_language_and_told_in_words(folder: Path) -> None:
    asked: list[httpx.Request] = []
    client = answering(200, SHOWN, asked)
    out = io.StringIO()
    show(Console(file=out, width=120), ask(client, str(folder / "templates/hello.de.mjml"), {}))
    assert asked[0].url.path == "/v1/templates/hello/preview"
    body = asked[0].content.decode()
    assert '"locale":"de"' in body and '"source":"---\\nkind: email' in body
    for words in ("Hallo [Ann]", "no condition holds (shop asks for something that is not there)", "! [odd]"):
        assert words in out.getvalue()


def test_a_preview_that_is_refused_says_why() -> None:
    with pytest.raises(PreviewRefusedError, match="no such"):
        ask(answering(422, {"detail": "x", "errors": [{"detail": "no such"}]}, []), "hello", {})


def test_words_on_the_command_line_are_data() -> None:
    assert parse_pairs(["a=1", "b=x=y", "c=[1]", "d="]) == {"a": 1, "b": "x=y", "c": [1], "d": ""}
    with pytest.raises(ValueError, match="not name=value"):
        parse_pairs(["a"])
