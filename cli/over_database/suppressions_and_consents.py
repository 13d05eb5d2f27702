"""Commands about suppressed addresses and contacts' consents."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from cli.shared.common import fail, in_database
from cli.shared.printing import Json, minute, say, say_json, say_table

if TYPE_CHECKING:
    from store.engine.database import Database
    from store.schema.rows import Channel

Addresses = Annotated[list[str] | None, typer.Argument(help="Email addresses, and phone numbers with +.")]
Listed = Annotated[
    typer.FileText | None, typer.Option("--file", help="The same from a file, one on a line; - is standard input.")
]
_AT_ONCE = 1_000
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_PHONE = re.compile(r"(\+|00)[\d\s().-]{7,25}")


def add_to(app: typer.Typer) -> None:
    """Add these commands to the command line."""
    app.command()(suppress)
    app.command()(unsuppress)
    app.command("consents")(show_consents)


def suppress(
    addresses: Addresses = None,
    file: Listed = None,
    reason: Annotated[str, typer.Option(help="Why, such as bounced, complained or unsubscribed.")] = "manual",
) -> None:
    """Suppress these addresses, whichever contacts have them. The strictest reason stays.

    Speaks to the database (DATABASE_URL).

    Example: perennial suppress rude@example.com +41446681800 --reason complained
    """
    from store.people.consents import reachability, suppressions
    from store.schema import suppression_reasons

    if reason not in suppression_reasons.HARSHEST_FIRST:
        fail(f"{reason} is no reason; use one of {', '.join(suppression_reasons.HARSHEST_FIRST)}.")
    found = _read(addresses, file)

    async def work(database: Database) -> None:
        raised = 0
        async with database.transaction() as tx:
            concerned = await reachability.hold(tx, addresses=found)
            for start in range(0, len(found), _AT_ONCE):
                raised += await suppressions.add_many(tx, found[start : start + _AT_ONCE], reason)
            await reachability.tell(tx, concerned)
        say(f"{raised} of {len(found)} suppressed; the others were, for this reason or a harsher one.")

    in_database(work)


def unsuppress(addresses: Addresses = None, file: Listed = None) -> None:
    """Allow these addresses again, whatever the reason of their suppression was. Consents do not change.

    Speaks to the database (DATABASE_URL).

    Example: perennial unsuppress rude@example.com
    """
    from store.people.consents import reachability, suppressions

    found = _read(addresses, file)

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            concerned = await reachability.hold(tx, addresses=found)
            removed = [await suppressions.remove(tx, channel, address) for channel, address in sorted(found)]
            await reachability.tell(tx, concerned)
        say(f"{sum(removed)} of {len(found)} allowed again; the others were not suppressed.")

    in_database(work)


def show_consents(
    contact: Annotated[str, typer.Argument(help="The contact's id.")],
    as_json: Json = False,
) -> None:
    """Show whether a contact may get messages and why not, their consents, and all their statements.

    Speaks to the database (DATABASE_URL).

    Example: perennial consents user_1042
    """
    from store.people import contacts
    from store.people.consents import consents, permission, suppressions
    from store.published import policies
    from store.schema.rows import Channel

    async def work(database: Database) -> None:
        async with database.transaction() as tx:
            person = await contacts.get(tx, contact)
            if person is None:
                fail(f"There is no contact {contact}.")
            held = await consents.current(tx, person.id)
            said = await consents.history(tx, person.id, limit=1_000)
            stopped = {
                channel: await suppressions.find(tx, channel, address) if address else None
                for channel in get_args(Channel)
                for address in (person.address(channel),)
            }
            topics = ("", *(await policies.current(tx)).policy.topics)
            refused = {
                topic: await permission.refusals(tx, person, get_args(Channel), topic=topic, transactional=False)
                for topic in topics
            }
        if as_json:
            channels = {
                channel: {
                    "has_address": bool(person.address(channel)),
                    "suppressed": {"reason": why.reason, "at": why.at} if why else None,
                    "refused": refused[""][channel],
                    "topics": {topic: refused[topic][channel] for topic in topics if topic},
                }
                for channel, why in stopped.items()
            }
            answer = {"contact_id": person.id, "paused_until": person.paused_until, "channels": channels}
            say_json(answer | {"holds": [asdict(one) for one in held], "said": [asdict(one) for one in said]})
            return
        for channel, why in stopped.items():
            state = refused[""][channel]
            say(f"{channel:<6} {state or 'open'}{f' since {minute(why.at)}' if why else ''}")
            for topic in topics:
                if refused[topic][channel] != state:
                    say(f"       {topic}: {refused[topic][channel] or 'open'}")
        if person.paused_until:
            say(f"paused until {minute(person.paused_until)}")
        for title, lines in (("Holds", held), ("Said", said)):
            typer.echo("")
            say(f"{title}:" if lines else f"{title}: nothing.")
            if lines:
                rows = [
                    (one.channel, one.topic or "(all)", one.status, minute(one.at), f"{one.source} {one.text_version}")
                    for one in lines
                ]
                say_table(("channel", "topic", "status", "at (UTC)", "source and text"), rows, margin="  ")

    in_database(work)


def _read(addresses: Iterable[str] | None, file: typer.FileText | None) -> list[tuple[Channel, str]]:
    """Parse the addresses with their channels. If one is invalid, end the command before it changes anything."""
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
    """Each address and its name in messages. An address from a file is named by its line number."""
    yield from ((address, address.strip()) for address in addresses)
    for number, line in enumerate(file or (), 1):
        text = line.strip().removeprefix("\ufeff")
        if text and not text.startswith("#"):
            yield f"line {number}", text
