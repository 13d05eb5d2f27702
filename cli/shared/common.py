"""Shared by the command line's modules: ending with a message, and finding the database and the API."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from cli.shared.printing import printable

if TYPE_CHECKING:
    import httpx

    from cli.shared.profiles import Profile
    from settings import Settings
    from store.engine.database import Database


Url = Annotated[str | None, typer.Option(help="The API's address; by default the local stack's.")]
Key = Annotated[str | None, typer.Option(help="The API's key; by default PERENNIAL_API_KEY, or the local stack's.")]


def fail(words: str) -> NoReturn:
    """End the command with a message and status 1."""
    typer.echo(printable(words, lines=True), err=True)
    raise typer.Exit(1)


def read_settings() -> Settings:
    """Read the settings. If they are invalid, end the command with the reason: callers handle ValueError otherwise."""
    from cli.shared.error_sentences import sentence
    from settings import get_settings

    try:
        return get_settings()
    except ValueError as problem:
        fail(sentence(problem) or str(problem))


def local_stack() -> dict[str, str]:
    """The addresses of the running local stack's parts; empty if no stack runs.

    If a stack runs but has not yet recorded its addresses, the command ends: the default address may belong to another
    installation.
    """
    from infra.launch.state import State
    from settings import get_settings

    found = State(get_settings().data).addresses()
    if found is not None and not found:
        fail(f"The local stack in {get_settings().data} is still coming up: wait until it shows its addresses.")
    return found or {}


def of_stack(part: str) -> str | None:
    """The address of a part of the local stack; None without a stack. Used if the environment names no address.

    If the stack exists but does not run, or is of an older version that did not record this address, the command ends.
    """
    from infra.launch.state import State
    from settings import get_settings

    found, state = local_stack(), State(get_settings().data)
    if found and part not in found:
        fail(f"The local stack has not written down its {part}: it was started by an older version. Start it again.")
    if not found and state.is_kept:
        fail(f"The local stack in {state.folder} does not run: start it with ./run, or name another installation.")
    return found.get(part)


def database_url() -> str:
    """DATABASE_URL or, if it is not set, the database of the running local stack."""
    from settings import get_settings

    settings = get_settings()
    if "database_url" not in settings.model_fields_set and (running := of_stack("database")):
        return running
    return settings.database_url.get_secret_value()


def address_secret() -> str:
    """PERENNIAL_ADDRESS_SECRET or, if neither it nor DATABASE_URL is set, the secret of the running local stack.

    Raises ValueError in production if the secret is too short.
    """
    from infra.launch.state import State, read_json
    from settings import get_settings

    settings = get_settings()
    if {"database_url", "address_secret"}.isdisjoint(settings.model_fields_set) and local_stack().get("database"):
        return str(read_json(State(settings.data).folder / "secrets.json").get("address_secret", ""))
    return settings.hash_secret


def in_database(work: Callable[[Database], Coroutine[Any, Any, None]]) -> None:
    """Run `work` with that database."""
    from store.engine.database import Database
    from store.engine.hash_secret import use_secret

    use_secret(address_secret())

    async def run() -> None:
        database = Database(database_url(), 1)
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(run())


def _profile(settings: Settings) -> Profile | None:
    """The named profile or, if nothing names an installation, the default one. Raises ProfileError."""
    from cli.shared.profiles import find
    from infra.launch.state import State

    if not settings.profile and ("public_url" in settings.model_fields_set or State(settings.data).is_kept):
        return None
    return find(settings.profile)


def ask_api(
    url: str | None, key: str | None, method: str, path: str, body: Any = None, params: Mapping[str, Any] | None = None
) -> Any:
    """Call the API once. Returns its JSON. Raises the errors of `infra.api_client.imports.ask`."""
    from infra.api_client.imports import ask

    with api_caller(url, key) as client:
        return ask(client, method, path, body, params=params)


def api_caller(url: str | None, key: str | None) -> httpx.Client:
    """A client of the API. If there is no key or an invalid one, the command ends. Raises ProfileError.

    The API's address is the first that exists of: `url`, the profile named by PERENNIAL_PROFILE, PERENNIAL_PUBLIC_URL,
    the local stack, the default profile. A profile's key is sent only to the profile's own address.
    """
    import httpx

    from infra.launch.state import State, read_json

    settings = read_settings()
    profile = _profile(settings)
    own = settings.api_key.get_secret_value()
    if profile is not None:
        address = url or profile.url
        secret = key or (profile.key if address == profile.url else "") or own
    else:
        named = "public_url" in settings.model_fields_set and not local_stack()
        address = url or (settings.public_url if named else of_stack("api") or settings.public_url)
        secret = key or own or str(read_json(State(settings.data).folder / "secrets.json").get("api_key", ""))
    if not re.fullmatch("[!-~]+", secret):
        missing = "There is no key for the API" if not secret else "The API's key has characters that no key has"
        fail(f"{missing}: set PERENNIAL_API_KEY, or give it with --key; `perennial key create NAME` makes one.")
    return httpx.Client(base_url=address, headers={"authorization": f"Bearer {secret}"}, timeout=30)
