"""The options of a sandbox."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

TWILIO_TOKEN = "PERENNIAL_TWILIO_AUTH_TOKEN"
"""The environment variable with Twilio's token, for the sandbox and for its clients."""

STRIPE_SECRET = "PERENNIAL_STRIPE_WEBHOOK_SECRET"
"""The environment variable with the secret that signs Stripe's events, for the sandbox and for the application."""

HUBSPOT_SECRET = "PERENNIAL_HUBSPOT_CLIENT_SECRET"
"""The environment variable with the secret that signs HubSpot's webhooks, for the sandbox and for the application."""


@dataclass(frozen=True)
class Options:
    """Configuration of one sandbox; `__main__` fills it from the command line."""

    data: Path
    """Directory of the journal and the signing key. It is made if it is missing."""
    base_url: str
    """The address at which clients reach the sandbox: the base of certificate, confirmation and tracked links."""
    callback_base: str | None = None
    """Base address of the application that gets callbacks; None means no callbacks."""
    twilio_auth_token: str = "sandbox-auth-token"
    """The password of Basic authentication, and the key of every `X-Twilio-Signature`."""
    stripe_webhook_secret: str = "whsec_sandbox"
    """The key of every `Stripe-Signature`."""
    hubspot_client_secret: str = "sandbox-client-secret"
    """The key of every `X-HubSpot-Signature-v3`."""
    verified_domains: tuple[str, ...] = ()
    """Domains that may send email from the start."""
    configuration_sets: tuple[str, ...] = ("perennial",)
    """SES configuration sets that exist from the start. Each publishes its events to a topic of the same name."""
    tracking: bool = True
    """Whether those sets publish OPEN and CLICK, which makes SES track. A sender that tracks itself turns it off."""
    signature_version: str = "2"
    """SNS signature version: "1" is RSA over SHA-1 (Amazon's default), "2" over SHA-256."""
    delivery_delay: float = 0.05
    """Seconds between accepting a message and delivering it."""
