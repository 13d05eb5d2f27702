"""The store's own errors. When the database is down, the store raises the driver's errors instead."""

from __future__ import annotations


class StoreError(Exception):
    """Base of the store's own errors."""


class UnstorableError(StoreError, ValueError):
    """A value that PostgreSQL cannot hold: a NUL character, a lone surrogate, a number out of range."""


class BusyError(StoreError):
    """Other transactions kept changing the same rows during a request. Nothing was written; a retry is safe."""


class AddressSecretError(StoreError):
    """This process does not know the secret with which the database's hashes of addresses are made. It could not see
    which addresses are suppressed, so it does nothing."""
