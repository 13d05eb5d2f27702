"""The journal: a restart applies exactly the written entries."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.sandbox.core.journal import Entry, Journal, JournalInUse, Place

texts = st.lists(st.text(), max_size=8)


def open_book(path: Path, seen: list[Any]) -> Journal:
    book = Journal(path)

    def apply(entry: Entry, place: Place) -> None:
        seen.append((entry["text"], place))

    book.subscribe("note", apply)
    return book


@given(texts, texts, st.integers(min_value=0, max_value=200))
def test_a_replay_gives_the_same_entries_and_cuts_off_a_torn_one(
    first: list[str], second: list[str], torn: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "journal.jsonl"
        live: list[Any] = []
        book = open_book(path, live)
        for text in first:
            book.write("note", text=text)
        book.close()
        with path.open("ab") as file:
            file.write(b'{"kind":"note","text":"never acknowledged'[:torn])

        again: list[Any] = []
        book = open_book(path, again)
        assert book.replay() == len(first)
        assert again == live
        for text in second:
            book.write("note", text=text)
        assert [book.read(place)["text"] for _, place in again] == first + second
        book.close()

        last: list[Any] = []
        book = open_book(path, last)
        book.replay()
        assert [text for text, _ in last] == first + second
        book.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    book = Journal(tmp_path / "journal.jsonl")
    with pytest.raises(JournalInUse):
        Journal(tmp_path / "journal.jsonl")
    book.close()
    Journal(tmp_path / "journal.jsonl").close()
