"""Where a line of an upload ends: at LF, CR LF or CR alone, in any mix.

Spreadsheets on a Mac still write CR alone ("CSV (Macintosh)"), and files that were put together have several kinds.
"""

from __future__ import annotations


def whole_lines(data: bytes) -> tuple[list[bytes], bytes]:
    """The lines of `data` with their ends, and what is not known to be a whole line yet.

    A CR at the very end may be half of a CR LF whose other half has not arrived, so its line waits.
    """
    lines = data.splitlines(keepends=True)  # of bytes: at LF, CR LF and CR, nowhere else
    rest = b"" if not lines or lines[-1].endswith(b"\n") else lines.pop()
    return lines, rest
