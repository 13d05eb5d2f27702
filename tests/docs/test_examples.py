"""The pages are correct: every example compiles, every name exists, and no existing name is missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args
from urllib.parse import parse_qs, urlsplit

import pytest
import typer.main
from pydantic import SecretStr
from pydantic_core import PydanticUndefined

from audience.exclusions import exclusion_problems
from audience.scores.document import read_score
from audience.segments.document import read_segment
from cli.main import app
from settings import Settings
from store.sending.messages.messages import MessageStatus, Progress
from tests.docs.documents import (
    API_PAGES,
    DESIGN,
    OPERATIONS,
    PAGES,
    REFERENCE,
    ROOT,
    TRACK_PAGES,
    Block,
    blocks,
    commands,
    links,
    name_of,
    prose,
)
from tracks.checks.track_document import TrackProblems, parse_track
from tracks.compiler.compiler import compile_track
from tracks.content.checks.template_check import check_template
from tracks.content.templates.template import parse_template
from tracks.model.steps.steps import STEP_TYPES
from tracks.policy.workspace_policy import parse_policy
from tracks.runs.run_interface import SEARCH_ATTRIBUTES

CONFIGURATION = REFERENCE / "configuration.md"
DEPLOYMENT, TEMPORAL_UI = OPERATIONS / "deployment.md", OPERATIONS / "temporal-ui.md"
SENDERS = "defaults:\n  email: {from: ada@acme.test}\n  sms: {from: '+15005550006'}\n"


def whole(example: str) -> str:
    """Complete an example that shows a part of a track: its steps, or keys of its head."""
    if example.startswith("- id:"):
        return f"track: example\n{SENDERS}steps:\n" + re.sub("^(?=.)", "  ", example, flags=re.MULTILINE)
    if not re.search("^track:", example, re.MULTILINE):
        example = "track: example\n" + example
    if not re.search("^steps:", example, re.MULTILINE):
        example += "steps:\n  - {id: settle, wait: 2d}\n"
    return example


def of(kind: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page, kind)]


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_a_track_example_compiles(block: Block) -> None:
    track = parse_track(whole(block.text), str(block))
    assert compile_track(track).program.code
    assert list(exclusion_problems(track.unless, ("unless",))) == []


@pytest.mark.parametrize("block", of("yaml policy"), ids=str)
def test_a_policy_example_is_sound(block: Block) -> None:
    policy = parse_policy(block.text)
    assert policy.topics or policy.unless or policy.sales.teams
    assert list(exclusion_problems(policy.unless, ("unless",))) == []


@pytest.mark.parametrize("block", of("yaml segment"), ids=str)
def test_a_segment_example_is_sound(block: Block) -> None:
    assert read_segment(block.text, str(block)).problems == ()


@pytest.mark.parametrize("block", of("yaml score"), ids=str)
def test_a_score_example_is_sound(block: Block) -> None:
    assert read_score(block.text, str(block)).problems == ()


@pytest.mark.parametrize("block", of("liquid"), ids=str)
def test_a_template_example_renders(block: Block) -> None:
    assert check_template(parse_template(block.text)) == []


def test_the_broken_track_is_refused_with_these_words() -> None:
    broken, words = (block for page in TRACK_PAGES for block in blocks(page, "yaml broken", "text"))
    with pytest.raises(TrackProblems) as refused:
        parse_track(broken.text, "first-steps.yaml")
    assert str(refused.value) == words.text.rstrip("\n")


def test_every_step_has_its_example() -> None:
    shown = "".join(block.text for page in TRACK_PAGES for block in blocks(page, "yaml"))
    headings = [verb for page in TRACK_PAGES for verb in re.findall(r"^##+ `([a-z_]+)`$", prose(page), re.MULTILINE)]
    assert sorted(headings) == sorted(STEP_TYPES)
    assert all(f"{verb}:" in shown for verb in STEP_TYPES)


def test_the_readmes_track_has_ten_lines() -> None:
    (track,) = blocks(ROOT / "README.md", "yaml")
    assert len(track.text.splitlines()) == 10


def _default(name: str) -> str:
    field = Settings.model_fields[name]
    value: Any = field.get_default(call_default_factory=True)
    assert value is not PydanticUndefined
    if isinstance(value, SecretStr):
        value = value.get_secret_value()
    match value:
        case None | "":
            return ""
        case ():
            return "[]"
        case dict():
            return json.dumps(value)
        case Path():
            return value.relative_to(ROOT).as_posix()
        case timedelta():
            return f"PT{value.total_seconds():g}S"
        case _:
            return str(value)


def _variable(name: str) -> str:
    alias = Settings.model_fields[name].validation_alias
    return alias if isinstance(alias, str) else f"PERENNIAL_{name.upper()}"


def test_the_configuration_table_is_that_of_the_settings() -> None:
    rows = re.findall(r"^\| `([A-Z_]+)` \| (?:`([^`]*)`)? ?\| ", CONFIGURATION.read_text(), re.MULTILINE)
    assert dict(rows) == {_variable(name): _default(name) for name in Settings.model_fields}
    assert len(rows) == len(Settings.model_fields)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_page_names_a_setting_that_does_not_exist(page: Path) -> None:
    known = {_variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"PERENNIAL_[A-Z_]+", page.read_text())) <= known


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_exist(page: Path) -> None:
    root = typer.main.get_command(app)
    named = re.findall(r"`(?:\.venv/bin/)?perennial ([a-z][^`]*)`", prose(page))
    named += [
        " ".join(words[1:]) for block in blocks(page, "sh") for words in commands(block) if words[0] == "perennial"
    ]
    for line in named:
        command: Any = root
        words = line.split()
        while words and hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        options = {option for parameter in command.params for option in parameter.opts + parameter.secondary_opts}
        assert {word for word in words if word.startswith("--")} <= options, line


def test_every_command_is_in_the_reference() -> None:
    named = re.findall(r"`perennial ([a-z][a-z-]*)`", (REFERENCE / "command-line.md").read_text())
    root: Any = typer.main.get_command(app)
    assert set(named) == set(root.commands)


@pytest.mark.parametrize("block", of("sh"), ids=str)
def test_temporals_own_commands_have_the_options_that_we_name(block: Block) -> None:
    for words in commands(block):
        if words[0] != "temporal":
            continue
        command = words[: next(n for n, word in enumerate(words) if word.startswith("-"))]
        program = str(Path(sys.executable).parent / "temporal")
        shown = subprocess.run([program, *command[1:], "--help"], capture_output=True, text=True, check=True).stdout
        for option in (word for word in words if word.startswith("--")):
            assert re.search(rf"{option}\b", shown), f"{' '.join(command)} {option}"


def test_search_attributes_and_their_kinds_are_documented() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (Keyword|Int|Datetime) \|", TEMPORAL_UI.read_text(), re.MULTILINE)
    assert dict(rows) == SEARCH_ATTRIBUTES
    (command,) = [
        words for block in blocks(DEPLOYMENT, "sh") for words in commands(block) if "search-attribute" in words
    ]
    values = command[command.index("create") + 1 :]
    assert dict(zip(values[1::4], values[3::4], strict=True)) == SEARCH_ATTRIBUTES


def test_states_of_runs_are_documented() -> None:
    source = "".join(path.read_text() for path in (ROOT / "workflows").rglob("*.py"))
    set_by_waits = set(re.findall(r'state(?:: str)? ?= ?"(\w+)"', source)) - {"starting"}
    rows = re.findall(r"^\| `([a-z_]+)` \| [^|]+ \| [^|]+ \|$", TEMPORAL_UI.read_text(), re.MULTILINE)
    assert set(rows) == set_by_waits | {"running"}


def test_states_of_messages_are_documented() -> None:
    said = "".join(page.read_text() for page in API_PAGES)
    assert all(f"`{word}`" in said for word in (*get_args(MessageStatus), *get_args(Progress)))


def test_paths_of_the_project_exist() -> None:
    for page in PAGES:
        for named in re.findall(
            r"`((?:tests|docs|tracks|workflows|activities|store|api|cli|infra|bench)/[^`\s*]*)`", prose(page)
        ):
            assert (ROOT / named).exists(), f"{name_of(page)}: {named}"


def test_every_law_names_its_tests() -> None:
    rows = re.findall(r"^\| (\d+)\. [^|]+ \| ([^|]+) \|$", (DESIGN / "laws.md").read_text(), re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 14))
    assert all("`tests/" in where for _, where in rows)


def ui_queries() -> list[str]:
    return [
        parse_qs(urlsplit(link).query)["query"][0]
        for page in PAGES
        for link in links(page)
        if "/workflows?query=" in link
    ]


def test_the_saved_queries_name_only_what_exists() -> None:
    assert len(ui_queries()) >= 10
    words = {
        word for query in ui_queries() for word in re.findall(r"\b[A-Z][A-Za-z]+\b(?=\s*(?:[=<>]|IS|STARTS))", query)
    }
    assert words <= set(SEARCH_ATTRIBUTES) | {
        "WorkflowType",
        "WorkflowId",
        "ExecutionStatus",
        "TemporalReportedProblems",
    }
