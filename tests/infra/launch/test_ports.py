"""A stack takes the default ports, or the next free ones."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from infra.launch.errors import LaunchError
from infra.launch.ports import Claims, any_free, require_free


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server of another program."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken


def test_a_taken_port_gives_way_to_the_next_free_one(listener: socket.socket) -> None:
    usual, claims = listener.getsockname()[1], Claims()
    assert usual < claims.first_free(usual) < usual + 100
    claims.release()


def test_two_stacks_that_start_together_choose_different_ports() -> None:
    usual, one, other = any_free(), Claims(), Claims()
    chosen = [claims.first_free(usual) for claims in (one, other, one, other)]
    assert len(set(chosen)) == 4
    one.release()
    assert other.first_free(usual) == chosen[0]
    other.release()


def test_no_port_left_is_one_clear_sentence(listener: socket.socket) -> None:
    usual = listener.getsockname()[1]
    with pytest.raises(LaunchError, match=f"No free port between {usual} and {usual} on"):
        Claims().first_free(usual, tries=1)


def test_a_server_that_is_there_already_is_not_mistaken_for_ours(listener: socket.socket) -> None:
    with pytest.raises(LaunchError, match=r"PostgreSQL cannot listen on .*: the port is taken"):
        require_free("PostgreSQL", listener.getsockname()[1])
