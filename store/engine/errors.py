"""What the store raises, besides the driver's own errors when the database is away."""

from __future__ import annotations


class StoreError(Exception):
    """Base of the store's own errors."""


class UnstorableError(StoreError, ValueError):
    """A value that PostgreSQL cannot hold: a NUL character, a lone surrogate, a number out of range."""


class BusyError(StoreError):
    """The same rows kept changing under a request; nothing was written, and asking again is safe."""


class AddressSecretError(StoreError):
    """This process does not know the secret that the database's hashes of addresses are made with: it would not see
    who may not be written to, and so does nothing."""
