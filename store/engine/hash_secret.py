"""The secret for the hashes of addresses: this process holds it and passes it to each of its connections."""

from __future__ import annotations

import hashlib

from store.engine.errors import AddressSecretError


class Secret:
    """The key of the hashes of addresses. Without the key, a table of hashes does not reveal the addresses.

    A keyed hash is the HMAC-SHA-256 of the plain SHA-256 hash, so that plain hashes from before there was a secret can
    be converted. An empty text means no secret; hashes are then plain.
    """

    def __init__(self, secret: str = "") -> None:
        key = hashlib.sha256(secret.encode()).digest().ljust(64, b"\0") if secret else b""
        self._inner, self._outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
        self.fingerprint = self.keyed("fingerprint")[:33] if secret else ""
        """Identifies the secret without revealing it; empty without a secret."""

    @property
    def parts(self) -> dict[str, str]:
        """The two halves of HMAC's key, in hex, as the SQL takes them; empty without a secret."""
        return {"inner": self._inner.hex(), "outer": self._outer.hex()}

    def keyed(self, plain: str) -> str:
        """The keyed hash for a plain hash."""
        if not self._inner:
            return plain
        return "k" + hashlib.sha256(self._outer + hashlib.sha256(self._inner + plain.encode()).digest()).hexdigest()


_current = Secret()


def use_secret(secret: str) -> None:
    """Set the secret of this process. Call it before a `Database` is opened."""
    global _current
    _current = Secret(secret)


def current_secret() -> Secret:
    """The secret of this process."""
    return _current


def demand(kept: str | None) -> None:
    """Raise `AddressSecretError` if the database's secret, given by its fingerprint, is not that of this process."""
    if (kept or "") != _current.fingerprint:
        raise AddressSecretError("PERENNIAL_ADDRESS_SECRET is not the one that the database's hashes are made with")


KEYED = """
    'k' || encode(sha256(
        decode({outer}, 'hex') || sha256(decode({inner}, 'hex') || convert_to({plain}, 'UTF8'))
    ), 'hex')
"""
"""SQL for `Secret.keyed`. HMAC is two hashes over longer texts, so it needs no extension of PostgreSQL."""
SESSION = """
    SELECT set_config('perennial.address_inner', %(inner)s, false),
        set_config('perennial.address_outer', %(outer)s, false)
"""
"""SQL that stores the secret's parts in a new connection's session, so that no statement has to carry them."""
FINGERPRINT = "(SELECT fingerprint FROM address_secret WHERE sole)"
"""SQL for the argument of `demand`."""
