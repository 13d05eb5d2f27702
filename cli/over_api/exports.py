"""Write a whole list of the API to the standard output as it arrives, however long it is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

import typer

from cli.shared.common import api_caller
from cli.shared.printing import say


class FileFormat(StrEnum):
    """How rows are written."""

    CSV = "csv"
    JSONL = "jsonl"


Format = Annotated[FileFormat, typer.Option("--format", help="csv, or jsonl: JSON, one row a line.")]


def export(
    path: str, file_format: FileFormat, filters: Mapping[str, str | None], url: str | None, key: str | None
) -> None:
    """Print the rows as they come. Raises the errors of `infra.api_client.imports.ask`."""
    from infra.api_client.imports import read_stream

    params = {"format": file_format.value} | {name: value for name, value in filters.items() if value is not None}
    with api_caller(url, key) as client:
        for line in read_stream(client, path, params=params):
            say(line.removesuffix("\n"))
