"""`pytest -n 5`: run the tests in five processes. By default, and with `-n 0`, one process runs all."""

from __future__ import annotations

import pytest

from tests.parallel.parent import Parallel


def pytest_addoption(parser: pytest.Parser) -> None:
    # pytest keeps small letters for itself; `-n` is what people know from pytest-xdist.
    parser.getgroup("parallel")._addoption(
        "-n", "--processes", type=int, default=0, metavar="N", help="run the tests in N processes (see tests/parallel)"
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.option.processes > 1:
        config.pluginmanager.register(Parallel(config.option.processes), "parallel")
