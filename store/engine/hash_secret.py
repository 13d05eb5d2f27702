"""The secret that hashes of addresses are made with: this process has it, and tells each of its connections."""

from __future__ import annotations

import hashlib

from store.engine.errors import AddressSecretError


class Secret:
    """What the hashes of addresses are made with, so that a table of them says nothing to who has not got it.

    HMAC-SHA-256 of the plain SHA-256 hash, so that those written before there was a secret can be turned into these.
    With an empty text there is none, and hashes are plain.
    """

    def __init__(self, secret: str = "") -> None:
        key = hashlib.sha256(secret.encode()).digest().ljust(64, b"\0") if secret else b""
        self._inner, self._outer = (bytes(byte ^ pad for byte in key) for pad in (0x36, 0x5C))
        self.fingerprint = self.keyed("fingerprint")[:33] if secret else ""
        """Tells one secret from another; empty without one."""

    @property
    def parts(self) -> dict[str, str]:
        """The two halves of HMAC's key, in hex, as SQL takes them; empty without a secret."""
        return {"inner": self._inner.hex(), "outer": self._outer.hex()}

    def keyed(self, plain: str) -> str:
        """The hash with the secret for one without."""
        if not self._inner:
            return plain
        return "k" + hashlib.sha256(self._outer + hashlib.sha256(self._inner + plain.encode()).digest()).hexdigest()


_current = Secret()


def use_secret(secret: str) -> None:
    """What this process makes hashes with, from now on; before it opens a `Database`."""
    global _current
    _current = Secret(secret)


def current_secret() -> Secret:
    """What this process makes hashes with."""
    return _current


def demand(kept: str | None) -> None:
    """Raises `AddressSecretError` where the database's hashes, whose fingerprint is given, are not this process's."""
    if (kept or "") != _current.fingerprint:
        raise AddressSecretError("PERENNIAL_ADDRESS_SECRET is not the one that the database's hashes are made with")


KEYED = """
    'k' || encode(sha256(
        decode({outer}, 'hex') || sha256(decode({inner}, 'hex') || convert_to({plain}, 'UTF8'))
    ), 'hex')
"""
"""SQL for `Secret.keyed`. HMAC is two hashes of something longer, so it needs no extension of PostgreSQL."""
SESSION = """
    SELECT set_config('perennial.address_inner', %(inner)s, false),
        set_config('perennial.address_outer', %(outer)s, false)
"""
"""SQL that tells a new connection the secret's parts. They stay with it: no statement carries them along."""
FINGERPRINT = "(SELECT fingerprint FROM address_secret WHERE sole)"
"""SQL for what `demand` takes."""
