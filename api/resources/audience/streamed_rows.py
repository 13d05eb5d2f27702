"""Rows of a list as a stream of CSV, for spreadsheets, or of JSON, one row a line."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import Query
from fastapi.responses import StreamingResponse

from tracks.shared.csv_cells import plain_cell

FileFormat = Annotated[Literal["csv", "jsonl"], Query(alias="format")]
AT_ONCE = 1_000
"""Rows that an export reads at once."""
CONTENT: Mapping[str, Any] = {"text/csv": {}, "application/x-ndjson": {}}
"""The kinds of content, as the API's description names them."""

Row = Mapping[str, str | float | None]


def streamed(columns: Sequence[str], pages: AsyncIterator[Sequence[Row]], file_format: str) -> StreamingResponse:
    """All rows of these pages, with the names of the columns first in CSV. Each row has these columns, in order."""
    if file_format == "csv":
        return StreamingResponse(_csv(columns, pages), media_type="text/csv; charset=utf-8")
    return StreamingResponse(_json_lines(pages), media_type="application/x-ndjson")


async def _csv(columns: Sequence[str], pages: AsyncIterator[Sequence[Row]]) -> AsyncIterator[str]:
    yield ",".join(columns) + "\r\n"
    async for rows in pages:
        text = io.StringIO()
        csv.writer(text).writerows([plain_cell("" if cell is None else cell) for cell in row.values()] for row in rows)
        yield text.getvalue()


async def _json_lines(pages: AsyncIterator[Sequence[Row]]) -> AsyncIterator[str]:
    async for rows in pages:
        yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
