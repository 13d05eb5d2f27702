"""The errors that activities raise to Temporal: classes and codes, never a text that could contain personal data."""

from __future__ import annotations

import random
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

import structlog
from sqlalchemy.exc import SQLAlchemyError
from temporalio import activity
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.contract import ERROR_THROTTLED, ERROR_UNAVAILABLE
from activities.providers.provider_errors import Fault, Verdict

P = ParamSpec("P")
T = TypeVar("T")

log = structlog.get_logger(__name__)


LONGEST_PAUSE = timedelta(minutes=5)
LONGEST_WITHOUT_DATABASE = timedelta(seconds=40)
"""All activities need the database, so they retry it sooner than a provider: with a provider's pauses some contacts
would wait as long again as it was down."""


def again_later(fault: Fault) -> ApplicationError:
    """The error that makes Temporal retry: if throttled, after the stated time as a benign error; else by policy."""
    if fault.verdict is Verdict.WAIT:
        return ApplicationError(
            str(fault),
            type=ERROR_THROTTLED,
            next_retry_delay=_scattered(fault.retry_after),
            category=ApplicationErrorCategory.BENIGN,
        )
    return ApplicationError(str(fault), type=ERROR_UNAVAILABLE, next_retry_delay=_at_least_a_second(fault.retry_after))


def without_details(function: Callable[P, Awaitable[T]]) -> Callable[P, Awaitable[T]]:
    """An activity whose unexpected errors reach Temporal and the log only as a class name and code positions.

    The texts of drivers and libraries quote values: addresses, names, whole statements.
    """

    @wraps(function)
    async def safe(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return await function(*args, **kwargs)
        except ApplicationError:
            raise
        except Exception as error:
            places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
            name = type(error).__name__
            log.error("activity failed", activity=function.__name__, error=name, places=places[-8:])
            delay = _until_the_database_is_back() if isinstance(error, SQLAlchemyError | OSError) else None
            unexpected = ApplicationError(f"unexpected {name}", type=name, next_retry_delay=delay)
        raise unexpected

    return safe


def _scattered(wait: timedelta | None) -> timedelta:
    """The wait that a throttling provider asks for, or one that doubles with each attempt, plus a random part: up to
    half of it, or up to a second if that is more. So calls that were refused together do not return together."""
    if wait is None:
        wait = _doubling(LONGEST_PAUSE)
    return wait + max(wait / 2, timedelta(seconds=1)) * random.random()


def _until_the_database_is_back() -> timedelta | None:
    """Doubles as in the retry policies, but with a shorter maximum; None for a local activity, which has its own."""
    if not activity.in_activity() or activity.info().is_local:
        return None
    return _doubling(LONGEST_WITHOUT_DATABASE) * (1 + random.random() / 2)


def _doubling(at_most: timedelta) -> timedelta:
    """A second after the first attempt, and twice as long after each further one."""
    attempt = activity.info().attempt if activity.in_activity() else 1
    return min(timedelta(seconds=2 ** min(attempt - 1, 10)), at_most)


def _at_least_a_second(wait: timedelta | None) -> timedelta | None:
    return None if wait is None else max(wait, timedelta(seconds=1))
