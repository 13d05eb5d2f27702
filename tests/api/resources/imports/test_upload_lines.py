"""A body is split into the same rows however it arrives, and an unreadable part spoils only its own row."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.problems import ProblemError
from api.resources.imports import upload_lines
from api.resources.imports.upload_lines import MAX_ROW, Format, Splitter
from store.runs.imports.import_rows import Raw

CELL = st.text(st.characters(codec="utf-8", exclude_characters="\x00\ufeff"), max_size=12)
ROW = st.lists(CELL, min_size=2, max_size=4).filter(lambda row: any(cell.strip() for cell in row))


def split(body: bytes, size: int, kind: Format = "csv") -> tuple[list[Raw], list[tuple[int, str]]]:
    """The rows and the problems (line, reason) of a body that arrives in pieces of `size` bytes."""
    splitter = Splitter(kind)
    for start in range(0, len(body), size):
        splitter.feed(body[start : start + size])
    splitter.end()
    return list(splitter.rows), [(problem.line, problem.reason) for problem in splitter.problems]


@given(st.lists(ROW, min_size=1, max_size=8), st.integers(1, 40), st.sampled_from(["\n", "\r\n"]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_whatever_csv_writes_comes_back_in_whatever_pieces(
    rows: list[list[str]], size: int, end: str, bom: bool
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(rows)
    body = (b"\xef\xbb\xbf" if bom else b"") + text.getvalue().encode()
    found, problems = split(body, size)
    assert [row for _, row in found] == rows
    assert problems == []


ENDS = st.sampled_from(["\n", "\r\n", "\r"])


@given(st.lists(st.tuples(ROW, ENDS), min_size=1, max_size=8), st.integers(1, 40))
@settings(max_examples=60, deadline=None)
def test_lines_may_end_in_any_way_and_in_several_in_one_file(rows: list[tuple[list[str], str]], size: int) -> None:
    text = io.StringIO(newline="")
    for row, end in rows:
        csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerow(row)
    assert [row for _, row in split(text.getvalue().encode(), size)[0]] == [row for row, _ in rows]


@given(
    st.lists(st.sampled_from(["a,b", "1,2", "", '"x\ry",z', '"x\r\ny",z', '"x\n\ry",z']), max_size=8),
    ENDS,
    st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_a_line_is_the_same_line_however_it_ends_and_arrives(lines: list[str], end: str, size: int) -> None:
    def read(with_end: str) -> list[list[str] | str]:
        return [row for _, row in split("".join(line + with_end for line in lines).encode(), size)[0]]

    assert read(end) == read("\n")


@pytest.mark.parametrize("size", [1, 7, 1 << 20])
@pytest.mark.parametrize(
    ("body", "lines", "problems"),
    [
        pytest.param(b"a,b\r1,x\r2,y\r", [1, 2, 3], [], id="a spreadsheet of an old Mac"),
        pytest.param(b"a,b\r\n1,x\r2,y\n3,z", [1, 2, 3, 4], [], id="a file put together of three"),
        pytest.param(b'a,b\r1,"Ada\r2,Bob\r', [1, 3], [(2, "opens a quote that is not closed")], id="CR and a quote"),
        pytest.param(b'a,b\r1,"x\ry"\r2,z\r', [1, 2, 4], [], id="CR within a value"),
        pytest.param(
            b"a\r" + b"x" * (MAX_ROW + 5) + b"\r2\r", [1, 3], [(2, f"is longer than {MAX_ROW:,} bytes")], id="CR, long"
        ),
        pytest.param(b"a,b\n\n , \n1,2", [1, 4], [], id="empty lines are no rows, and the last line needs no end"),
        pytest.param(b'a,b\r\n1,"x\r\ny"\r\n2,z\r\n', [1, 2, 4], [], id="a value may hold line ends"),
        pytest.param(
            b'a,b\n1,"Ada\n2,Bob\n3,C\n',
            [1, 3, 4],
            [(2, "opens a quote that is not closed")],
            id="an open quote costs its row",
        ),
        pytest.param(
            b'a,b\n1,"Ada\n2,Bob\n3,"C"\n4,d\n',
            [1, 3, 4, 5],
            [(2, "',' expected after '\"'")],
            id="also where a later row would close it",
        ),
        pytest.param(b'a,b\n1,5" pipe\n', [1, 2], [], id="a quote amid a value is a character"),
        pytest.param(b"a\n1\xff\n2\n", [1, 3], [(2, "is not UTF-8")], id="another encoding"),
        pytest.param(
            b"a\n" + b"x" * (MAX_ROW + 5) + b"\n2\n", [1, 3], [(2, f"is longer than {MAX_ROW:,} bytes")], id="too long"
        ),
    ],
)
def test_what_is_wrong_costs_its_own_row_only(
    body: bytes, lines: list[int], problems: list[tuple[int, str]], size: int
) -> None:
    if size == 1 and len(body) > MAX_ROW:
        size = 1000
    rows, found = split(body, size)
    assert [row[0] for row in rows] == lines
    assert found == problems


def test_a_value_that_goes_on_for_too_long_is_given_up_and_the_next_line_begins_anew() -> None:
    body = b'a,b\n1,"' + b"lorem ipsum\n" * 8000
    rows, problems = split(body, 4096)
    assert problems[0] == (2, "opens a quote that is not closed")
    assert rows[:2] == [(1, ["a", "b"]), (3, ["lorem ipsum"])]
    assert len(rows) == 8000


def test_a_line_too_long_ends_at_a_cr_that_a_piece_ends_with() -> None:
    splitter = Splitter("csv")
    for piece in (b"a\r", b"x" * (MAX_ROW + 5) + b"\r", b"2\r"):
        splitter.feed(piece)
    splitter.end()
    assert splitter.rows == [(1, ["a"]), (3, ["2"])]


def test_json_lines_are_rows_as_they_stand() -> None:
    assert split(b'{"a": 1}\n\n  {"a": 2}  ', 5, "jsonl") == ([(1, '{"a": 1}'), (3, '{"a": 2}')], [])
    assert split(b'{"a": 1}\r{"a": 2}\r', 5, "jsonl") == ([(1, '{"a": 1}'), (2, '{"a": 2}')], [])


@given(st.lists(st.sampled_from(["\n", "\r\n", " \n", "row\n", '"a\n\nb"\n', ",\n", "x\r\n"])), st.integers(1, 9))
def test_empty_lines_are_skipped_wherever_they_are_and_counted_as_lines(parts: list[str], size: int) -> None:
    body, line, wanted = "".join(parts), 1, []
    for part in parts:
        if part.strip(" ,\r\n"):
            wanted.append((line, [part.rstrip("\r\n").strip('"')]))
        line += part.count("\n")
    assert split(body.encode(), size) == (wanted, [])


@pytest.mark.parametrize("line", [b"\n", b",\n", b" \n", b"a\n\n\n\n"])
def test_lines_that_are_no_rows_are_bounded(line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_lines, "MAX_EMPTY", 1000)
    assert split(line * 300, 64)[1] == []
    with pytest.raises(ProblemError) as caught:
        split(line * 1100, 64)
    assert caught.value.status_code == 413
