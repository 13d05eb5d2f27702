import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracks.shared import yaml_source
from tracks.shared.yaml_source import MAX_CHARACTERS, MAX_PARTS, read_yaml


def test_every_part_knows_its_line() -> None:
    source = read_yaml("track: a\nsteps:\n  - id: x\n    wait: 2d\n  - {id: y, exit: }\n")
    assert source.problems == []
    assert source.data == {"track": "a", "steps": [{"id": "x", "wait": "2d"}, {"id": "y", "exit": None}]}
    assert [source.line(path) for path in [("track",), ("steps",), ("steps", 0), ("steps", 0, "wait")]] == [1, 2, 3, 4]
    assert source.line(("steps", 1, "exit", "reason")) == 5


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("09:00", "09:00"),
        ("2026-03-01", "2026-03-01"),
        ("yes", "yes"),
        ("on", "on"),
        ("012", "012"),
        ("+15005550006", 15005550006),
        ("1_000", "1_000"),
        ("0x1F", "0x1F"),
        (".inf", ".inf"),
        ("1.5", 1.5),
        ("-3", -3),
        ("true", True),
        ("~", None),
        ("'true'", "true"),
        ('"12"', "12"),
        ("|\n    two\n    lines\n", "two\nlines\n"),
    ],
)
def test_words_mean_what_yaml_1_2_says_and_times_stay_text(text: str, value: object) -> None:
    source = read_yaml(f"a: {text}")
    assert source.problems == []
    assert source.data == {"a": value}


@pytest.mark.parametrize(
    ("text", "line", "complaint"),
    [
        ("", 1, "the file is empty"),
        ("# nothing but words\n", 1, "the file is empty"),
        ("a: 1\n---\nb: 2", 1, "several documents"),
        ("a: [1,\nb: 2", 2, "not YAML"),
        ("a: b: c", 1, "put the value in quotes"),
        ("a:\n\t- b", 2, "not with tabs"),
        ("a: 1\nb: 2\na: 3", 3, "'a' stands here twice; the first is on line 1"),
        ("a: &x [1]\nb: *x", 1, "anchors and aliases (&x) are not allowed"),
        ("a: &x [*x]", 1, "anchors and aliases"),
        ("a: *x", 1, "not YAML"),
        ("a: {<<: {b: 1}}", 1, "merge keys"),
        ("a: !!python/object/apply:os.system [echo]", 1, "not allowed"),
        ("a: !secret x", 1, "tags"),
        ("a: !!set {b}", 1, "not allowed"),
        ("? [a]\n: b", 1, "a key must be a word"),
        ("a: \x00", 1, "not YAML"),
        ("[" * 5000, 1, "nested more than"),
        ("- " * 5000, 1, "nested more than"),
        ("a" * (MAX_CHARACTERS + 1), 1, "at most"),
    ],
)
def test_what_is_not_plain_yaml_is_refused_with_its_line(text: str, line: int, complaint: str) -> None:
    problems = read_yaml(text).problems
    assert [at for at, message in problems if complaint in message] == [line]


def test_aliases_cannot_be_made_to_grow() -> None:
    levels = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    started = time.perf_counter()
    source = read_yaml("\n".join(["a0: &a0 [x]", *levels]))
    assert len(source.problems) == 30
    assert time.perf_counter() - started < 2


@given(st.text(alphabet="ab:-[]{}&*!?|>'\"#\n\t ,%@`0", max_size=60))
def test_no_text_makes_reading_raise(text: str) -> None:
    read_yaml(text)


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"key{n}: 1\n" for n in range(40_000)),
        "[" + "1," * 200_000 + "]",
        "{" + ",".join(f"k{n}" for n in range(60_000)) + "}",
        "- a\n" * 120_000,
        "a:\n" + "".join(f"  - {{b: {n}}}\n" for n in range(30_000)),
        "---\n" * 100_000,
    ],
    ids=["keys", "items", "words", "lines", "mappings", "documents"],
)
def test_a_document_of_very_many_parts_is_not_read_to_its_end(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """To read a part takes 70 µs (measured), so the limit is a tenth of the real one here."""
    monkeypatch.setattr(yaml_source, "MAX_PARTS", 2_000)
    assert len(text) < MAX_CHARACTERS
    began = time.process_time()
    source = read_yaml(text)
    assert time.process_time() - began < 1
    (problem,) = source.problems
    assert "more than 2,000 keys and values" in problem[1] or "several documents" in problem[1]
    assert problem[0] >= 1


def test_more_than_twenty_thousand_parts_are_refused_in_seconds() -> None:
    """The list itself is one of them."""
    began = time.process_time()
    (problem,) = read_yaml("[" + "1," * MAX_PARTS + "]").problems
    assert time.process_time() - began < 4
    assert "more than 20,000 keys and values" in problem[1]


def test_a_long_document_of_few_parts_is_read() -> None:
    text = "a: |\n" + "  - a line of text: with marks, [and] {more}\n" * 9_000
    assert read_yaml(text).problems == []
