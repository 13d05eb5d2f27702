"""End a command with one sentence for errors outside Perennial: settings, database, Temporal, API, files.

It wraps all commands, so that a new command has it too. Any other error is our own fault and keeps its traceback.
"""

from __future__ import annotations

import os
import re
from typing import Any

from typer import Context, Exit, echo
from typer.core import TyperGroup

from cli.shared.help_texts import in_plain_words, plain_kind
from cli.shared.printing import printable

_VARIABLE = re.compile(r"\b(PERENNIAL_[A-Z_]+|DATABASE_URL)\b")
_TEMPORAL = "look at TEMPORAL_ADDRESS, and at TEMPORAL_PROFILE and the like where you use them"


class CommandGroup(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attrs: Any) -> None:
        super().__init__(**attrs)
        in_plain_words(self.commands.values())

    def get_params(self, ctx: Any) -> list[Any]:
        """The group's own options and those of shell completion."""
        found: list[Any] = super().get_params(ctx)
        for one in found:
            plain_kind(one)
        return found

    def invoke(self, ctx: Context) -> Any:  # type: ignore[override]
        """Run the command. An error outside Perennial gives status 1 and one sentence."""
        try:
            return super().invoke(ctx)
        except Exception as problem:
            words = sentence(problem)
            if words is None:
                raise
            echo(printable(words, lines=True), err=True)
            raise Exit(1) from None


def sentence(problem: Exception) -> str | None:
    """The sentence for an error, without any password; None for an error of our own."""
    words = _of_settings(problem) or _of_database(problem) or _of_temporal(problem) or _of_others(problem)
    return None if words is None else _without_passwords(words)


def _of_settings(problem: Exception) -> str | None:
    from pydantic import ValidationError
    from pydantic_settings import SettingsError

    from settings import Settings

    if isinstance(problem, SettingsError):
        found = re.search(r'field "(\w+)"', str(problem))
        if found is None:
            return f"The settings cannot be read: {_first_line(problem)}"
        name = _variable(found[1])
        return f"{name} cannot be read: it must be JSON, as docs/reference/configuration.md shows it."
    if isinstance(problem, ValidationError) and problem.title == Settings.__name__:
        wrong = [
            ".".join((_variable(str(error["loc"][0])), *map(str, error["loc"][1:]))) + ": " + error["msg"]
            for error in problem.errors(include_input=False, include_url=False, include_context=False)
        ]
        return f"Wrong settings: {'; '.join(wrong)}."
    if isinstance(problem, ValueError) and _VARIABLE.search(str(problem)):
        return f"Wrong settings: {_first_line(problem)}."
    return None


def _variable(field: str) -> str:
    """The environment variable of a setting."""
    from settings import Settings

    known = Settings.model_fields.get(field)
    alias = known.validation_alias if known else field if field.isupper() else None
    return alias if isinstance(alias, str) else f"PERENNIAL_{field.upper()}"


def _of_database(problem: Exception) -> str | None:
    import psycopg
    from sqlalchemy.exc import DBAPIError
    from sqlalchemy.exc import TimeoutError as PoolTimeout

    from store.engine.errors import AddressSecretError, UnstorableError
    from worker import NoDatabaseError

    if isinstance(problem, PoolTimeout):
        return "No database connection is free: the database is overloaded, or the one of DATABASE_URL hangs."
    if isinstance(problem, NoDatabaseError):
        return f"{_first_line(problem)}. Look at DATABASE_URL."
    if isinstance(problem, UnstorableError):
        return f"The database refuses a value: {_first_line(problem)}."
    if isinstance(problem, AddressSecretError):
        return str(problem)
    driver = problem.orig if isinstance(problem, DBAPIError) else problem
    if isinstance(driver, psycopg.errors.UndefinedTable | psycopg.errors.UndefinedColumn):
        return "The database of DATABASE_URL does not have this version's schema: run `perennial migrate`."
    if isinstance(driver, psycopg.errors.InsufficientPrivilege):
        return f"The user of DATABASE_URL may not do that: {_first_line(driver)}"
    if isinstance(driver, psycopg.OperationalError | psycopg.InterfaceError):
        return f"The database does not answer or refuses: {_first_line(driver)}. Look at DATABASE_URL."
    return None


def _of_temporal(problem: Exception) -> str | None:
    from temporalio.service import RPCError

    if isinstance(problem, RPCError):
        return f"Temporal does not answer or refuses ({problem.status.name}: {_of_tonic(problem)}): {_TEMPORAL}."
    if isinstance(problem, RuntimeError | ValueError) and _raised_by_client(problem):
        return f"Temporal does not answer or refuses ({_of_tonic(problem)}): {_TEMPORAL}."
    return None


def _raised_by_client(problem: Exception) -> bool:
    """Whether Temporal's client raised the error: it has no class for a failed connection or a bad profile."""
    traced = problem.__traceback__
    while traced is not None and traced.tb_next is not None:
        traced = traced.tb_next
    return traced is not None and str(traced.tb_frame.f_globals.get("__name__", "")).startswith("temporalio.")


def _of_tonic(problem: Exception) -> str:
    """The reason inside the text of the client's transport error."""
    text = _first_line(problem)
    at = re.search(r'connect error", ([^\s,]+),', text)
    reason = re.findall(r'(?:message|error): "([^"]+)"', text)
    if "tonic::" in text or reason:
        named = f"{at[1]}: " if at else ""
        return named + (reason[-1] if reason else "no connection")
    return text.rstrip(".")


def _of_others(problem: Exception) -> str | None:
    import httpx

    from api.http.server import ListenError
    from cli.shared.profiles import ProfileError
    from infra.api_client.imports import RefusedError
    from infra.launch.errors import LOCAL, LaunchError

    if isinstance(problem, httpx.HTTPError | httpx.InvalidURL):
        return f"The API does not answer: {_first_line(problem)}. Look at --url, or PERENNIAL_PUBLIC_URL."
    if isinstance(problem, RefusedError | LaunchError | ProfileError):
        return str(problem)
    if isinstance(problem, ModuleNotFoundError) and problem.name == "psutil":
        return f"psutil is not installed: {LOCAL}."
    if isinstance(problem, ListenError):
        return f"{problem}."
    if isinstance(problem, UnicodeDecodeError):
        return "A file that was to be read is not UTF-8 text."
    if isinstance(problem, OSError) and problem.filename is not None:
        return f"{problem.filename}: {problem.strerror}."
    return None


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip() or type(problem).__name__).splitlines()[0].rstrip(".:")


def _without_passwords(words: str) -> str:
    """Remove passwords: a driver may quote its address, or a part of one that it parsed wrongly."""
    from urllib.parse import unquote

    address = os.environ.get("DATABASE_URL", "")
    found = re.search(r"//[^:/@]*:(.+)@", address)
    secrets = {address, *((found[1], unquote(found[1])) if found else ())}
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        words = words.replace(secret, "…")
    return words
