"""How salespeople get to the CRM's pages: a signed link of their own, which an API call makes, signs in a browser.

A link, unlike an API key, lets its owner do nothing but what the pages offer, and names who did it. Opening it shows a
button; only pressing the button signs in, because programs follow links. The session is a cookie that scripts cannot
read and that is not sent with forms of other sites. Each form of the pages also carries a token that follows from the
session, which no other site knows.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

COOKIE = "perennial_crm"
PATH = "/crm"
"""Only requests below this path carry the cookie."""
LASTS = timedelta(hours=12)
"""How long a sign-in lasts, but not longer than the link by which it was made."""
LONGEST_LINK = timedelta(days=90)
_MAC = 32
_LONGEST = 1000
Purpose = Literal["link", "session"]


@dataclass(frozen=True, slots=True)
class Pass:
    """Whom a link or a session names, when the link was made, and until when it works."""

    person: str
    made: datetime
    until: datetime


class CrmSessions:
    """Makes and reads links and sessions. Without a secret, they are valid only while the process lives."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"perennial crm" + (secret.encode() or secrets.token_bytes(32))).digest()

    def seal(self, purpose: Purpose, given: Pass) -> str:
        """The token of a link or of a session."""
        body = json.dumps([given.person, int(given.made.timestamp()), int(given.until.timestamp())]).encode()
        return base64.urlsafe_b64encode(self._mac(purpose, body) + body).decode().rstrip("=")

    def read(self, purpose: Purpose, token: str, now: datetime) -> Pass | None:
        """Whom a token names; None if it was not made here for this purpose, or its time is over."""
        if len(token) > _LONGEST or not token.isascii():
            return None
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            return None
        body = raw[_MAC:]
        if not body or not hmac.compare_digest(raw[:_MAC], self._mac(purpose, body)):
            return None
        person, made, until = json.loads(body)
        found = Pass(person, datetime.fromtimestamp(made, UTC), datetime.fromtimestamp(until, UTC))
        return found if now < found.until else None

    def form_token(self, session: str) -> str:
        """What each form has to carry that is posted in this session."""
        return base64.urlsafe_b64encode(self._mac("form", session.encode())).decode().rstrip("=")

    def is_form_token(self, session: str, token: str) -> bool:
        """Whether a form was made for this session."""
        return token.isascii() and hmac.compare_digest(self.form_token(session), token)

    def _mac(self, purpose: str, body: bytes) -> bytes:
        return hmac.digest(self._key, purpose.encode() + b"\0" + body, "sha256")
