"""Split an upload into lines. A line ends with LF, CR LF or CR alone, in any mix.

Spreadsheets on a Mac still write CR alone ("CSV (Macintosh)"), and concatenated files have several kinds.
"""

from __future__ import annotations


def whole_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete lines of `data` with their ends, and the rest.

    A CR at the end of `data` may be the first half of a CR LF, so its line belongs to the rest.
    """
    lines = data.splitlines(keepends=True)  # bytes split at LF, CR LF and CR only
    rest = b"" if not lines or lines[-1].endswith(b"\n") else lines.pop()
    return lines, rest
