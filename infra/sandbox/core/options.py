"""What a sandbox is started with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TWILIO_TOKEN = "PERENNIAL_TWILIO_AUTH_TOKEN"
"""The variable of the environment that holds Twilio's token, for the sandbox as for those who call it."""


@dataclass(frozen=True)
class Options:
    """Configuration of one sandbox; `__main__` fills it from the command line."""

    data: Path
    """Directory of the journal and the signing key; made when missing."""
    base_url: str
    """Where clients reach this sandbox: certificate, confirmation and tracked links start with it."""
    callback_base: str | None = None
    """Base address of the application that is called back; None means nobody listens."""
    twilio_auth_token: str = "sandbox-auth-token"
    """Accepted by Basic authentication, and the key of every `X-Twilio-Signature`."""
    verified_domains: tuple[str, ...] = ()
    """Domains that may send email from the start."""
    configuration_sets: tuple[str, ...] = ("perennial",)
    """SES configuration sets that exist from the start and publish every event to a topic of their name."""
    tracking: bool = True
    """Whether those sets ask for OPEN and CLICK, as SES needs to track; a sender who tracks itself asks for neither."""
    signature_version: str = "2"
    """SNS signature version: "1" is RSA over SHA-1 (Amazon's default), "2" over SHA-256."""
    delivery_delay: float = 0.05
    """Seconds between accepting a message and delivering it."""
