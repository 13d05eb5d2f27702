"""Commands about people: addresses that are not written to, and what a contact agreed to."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from cli.common import fail, in_database

if TYPE_CHECKING:
    from store.database import Database
    from store.rows import Channel

Addresses = Annotated[list[str] | None, typer.Argument(help="Email addresses, and phone numbers with +.")]
Listed = Annotated[
    typer.FileText | None, typer.Option("--file", help="The same from a file, one on a line; - is standard input.")
]
_AT_ONCE = 1_000
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"(\+|00)[\d\s().-]{7,25}")


def add_to(app: typer.Typer) -> None:
    """Wire them into the command line."""
    app.command()(suppress)
    app.command()(unsuppress)
    app.command("consents")(show_consents)


def suppress(
    addresses: Addresses = None,
    file: Listed = None,
    reason: Annotated[str, typer.Option(help="Why, such as bounced, complained or unsubscribed.")] = "manual",
) -> None:
    """Write to these addresses no more, whoever has them. The harshest reason stays."""
    from store import suppressions

    if reason not in suppressions.HARSHEST_FIRST:
        fail(f"{reason} is no reason; use one of {', '.join(suppressions.HARSHEST_FIRST)}.")
    found = _read(addresses, file)

    async def work(database: Database) -> None:
        raised = 0
        async with database.transaction() as tx:
            for start in range(0, len(found), _AT_ONCE):
                raised += await suppressions.add_many(tx, found[start : start + _AT_ONCE], reason)
        typer.echo(f"{raised} of {len(found)} suppressed; the others were, for this reason or a harsher one.")

    in_database(work)


def unsuppress(addresses: Addresses = None, file: Listed = None) -> None:
    """Allow these addresses again, whatever they were suppressed for. Consents are not touched."""
    from store import suppressions

    found = _read(addresses, file)

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            removed = [await suppressions.remove(tx, channel, address) for channel, address in sorted(found)]
        typer.echo(f"{sum(removed)} of {len(found)} allowed again; the others were not suppressed.")

    in_database(work)


def show_consents(contact: Annotated[str, typer.Argument(help="The contact's id.")]) -> None:
    """Show what a contact agreed to, why they are not written to, and everything they said."""
    from store import consents, contacts, suppressions
    from store.rows import Channel

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            person = await contacts.get(tx, contact)
            if person is None:
                fail(f"There is no contact {contact}.")
            held = await consents.current(tx, contact)
            said = await consents.history(tx, contact, limit=1_000)
            for channel in get_args(Channel):
                address = person.address(channel)
                stopped = await suppressions.find(tx, channel, address) if address else None
                state = f"suppressed: {stopped.reason} since {stopped.at:%Y-%m-%d %H:%M}" if stopped else "open"
                typer.echo(f"{channel:<6} {state if address else 'no address'}")
        if person.paused_until:
            typer.echo(f"paused until {person.paused_until:%Y-%m-%d %H:%M}")
        for title, lines in (("Holds", held), ("Said", said)):
            typer.echo(f"\n{title}:" if lines else f"\n{title}: nothing.")
            for one in lines:
                words = f"{one.channel:<6} {one.topic or '(all)':<24} {one.status:<10} {one.at:%Y-%m-%d %H:%M}"
                typer.echo(f"  {words}  {one.source} {one.text_version}".rstrip())

    in_database(work)


def _read(addresses: Iterable[str] | None, file: typer.FileText | None) -> list[tuple[Channel, str]]:
    """The addresses with their channels; fails with what cannot be read, before anything is done."""
    found: list[tuple[Channel, str]] = []
    bad: list[str] = []
    for place, text in _listed(addresses or (), file):
        if _EMAIL.fullmatch(text):
            found.append(("email", text))
        elif _PHONE.fullmatch(text):
            found.append(("sms", text))
        else:
            bad.append(place)
    if bad:
        fail(f"Neither an email address nor a phone number with +: {', '.join(bad[:20])}. Nothing was changed.")
    if not found:
        fail("Name an address, or a file of them.")
    return found


def _listed(addresses: Iterable[str], file: typer.FileText | None) -> Iterator[tuple[str, str]]:
    """Each address, and what to call it: those of a file by their line."""
    yield from ((address, address.strip()) for address in addresses)
    for number, line in enumerate(file or (), 1):
        text = line.strip().removeprefix("\ufeff")
        if text and not text.startswith("#"):
            yield f"line {number}", text
