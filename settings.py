"""The one typed place for configuration. Nothing else in the project reads the environment.

Variables carry the prefix `PERENNIAL_`; the database takes the usual `DATABASE_URL`, AWS credentials the
usual AWS chain, and Temporal's client its standard `TEMPORAL_*` environment and profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _seconds(value: object) -> object:
    """`30` in the environment means seconds, as everyone expects; `PT30S` and `00:00:30` work too."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Need = Literal["secret", "address secret", "links", "topics"]
"""What a process may need that production looks at: to sign, to hash addresses, to write links, to believe SNS."""
RECEIVING: tuple[Need, ...] = ("secret", "address secret", "links", "topics")
"""What the API needs."""
SENDING: tuple[Need, ...] = ("secret", "address secret", "links")
"""What a worker needs."""

Duration = Annotated[timedelta, BeforeValidator(_seconds)]
Web = Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9.-]+(:[0-9]+)?([/?][!#-+\--:=-~]*)?)?$", max_length=500)]
"""An address on the web, or none. It stands in a header: no spaces, quotes, commas or semicolons."""


class Settings(BaseSettings):
    """Configuration of every process; defaults suit local development."""

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", extra="ignore", env_nested_delimiter="__")

    environment: Literal["development", "production"] = "development"
    allow_pace: bool | None = None
    """Whether a run may be paced; unset means only in development."""
    entry_pace: float = 1.0
    """Pace of the runs that a track's entry rule begins, where pacing is allowed: demos and staging."""
    api_key: SecretStr = SecretStr("")
    profile: str = ""
    """Which profile of a person's file commands take the API's address and key from (`cli.shared.profiles`)."""
    """The key that the command line calls the API with (`perennial publish`)."""

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost/perennial"), validation_alias="DATABASE_URL"
    )
    database_pool: int = 10

    requests_at_once: int = Field(default=128, ge=1)
    """Requests that an API process works at; a body takes another place for each 32 KiB."""
    requests_waiting: int = Field(default=256, ge=0)
    """Requests that may wait for a place; callbacks of providers and what contacts open, four times as many."""
    longest_request_wait: Duration = timedelta(seconds=5)
    """How long; callbacks of providers and what contacts open wait twice as long."""

    secret: SecretStr = SecretStr("")
    """Signs links; at least 32 characters in production."""
    address_secret: SecretStr = SecretStr("")
    """What hashes of addresses are made with, never to be changed; empty means hashes that can be guessed."""
    public_url: str = "http://127.0.0.1:8000"
    """Where contacts and providers reach the API: the base of links, callbacks and signatures."""

    sender_name: str = Field(default="", max_length=100)
    """The name of the brand: `brand.name` in emails, and above and below the pages for contacts."""
    sender_website: Web = ""
    """The website of the brand, to which these pages lead on."""
    sender_logo: Web = ""
    """The address of a picture, which stands in place of the name. Contacts' programs fetch it from there."""
    sender_address: str = Field(default="", max_length=300)
    """Postal address or mailbox, at the foot of emails and pages; it may have several lines."""
    sender_color: Annotated[str, Field(pattern=r"^(#[0-9A-Fa-f]{6})?$")] = ""
    """The colour of the brand: `#` and six hexadecimal digits. Texts take a readable shade of it."""

    operations_port: int | None = Field(default=None, ge=1, le=65535)
    """Port of `/metrics` and `/readyz` of the API, which are then not on its public port."""
    worker_port: int | None = Field(default=None, ge=1, le=65535)
    """Port on which a worker or a relay answers its orchestrator; unset means none."""
    docs: bool | None = None
    """Whether `/docs` and `/openapi.json` are served; unset means only in development."""

    payload_keys: tuple[SecretStr, ...] = ()
    """Keys (32 bytes in base64) that what Temporal keeps of runs is encrypted with; the first encrypts."""

    click_hold: Duration = timedelta(seconds=10)
    """How long a click that looks like a person's is held before tracks hear of it, lest it begin a scanner's burst."""
    click_soon: Duration = timedelta(seconds=5)
    """A click this soon after the delivery is a machine's."""

    data: Path = Path(__file__).parent / ".perennial"
    """Where the local stack of `perennial up` keeps everything."""

    # Email: Amazon SES v2 (credentials and region by the usual AWS chain)
    ses_endpoint_url: str | None = None
    aws_region: str = "us-east-1"
    ses_configuration_set: str = "perennial"
    sns_topic_arns: tuple[str, ...] = ()
    """Topics whose notifications are believed; empty means any topic with a valid signature, but not in production."""
    sns_certificate_url: str | None = None
    """Where signing certificates may come from, besides Amazon's own hosts (the sandbox); not in production."""

    # SMS: Twilio
    twilio_base_url: str | None = None
    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_messaging_service_sid: str | None = None
    sms_help_text: str = ""
    """What HELP and INFO are answered with; empty leaves that to Twilio, which answers them by itself."""

    # CRM
    crm: Literal["builtin", "hubspot"] = "builtin"
    hubspot_base_url: str | None = None
    hubspot_token: SecretStr = SecretStr("")

    webhook_secret: SecretStr = SecretStr("")
    """Standard Webhooks secret (`whsec_…`) that signs the `webhook` steps' calls."""
    webhook_hosts: tuple[str, ...] = ()
    """Hosts that `webhook` steps may call; empty means any on the public internet, and in development any at all."""
    webhook_proxy: str | None = None
    """HTTP proxy that `webhook` steps' calls go through."""

    provider_timeout: Duration = timedelta(seconds=10)
    """Read timeout of a provider call; past it the outcome is unknown, not failed."""

    # Workers
    cached_runs: int = 1000
    """Runs kept in memory between their workflow tasks: about 55 KB each."""
    concurrent_sends: int = 20
    """Activities at once, per provider queue and worker process."""
    import_rate: float = 100.0
    """Rows a second at which an import enrols, at most, where it names no rate of its own."""
    queue_rates: dict[str, float] = {}
    """Activities per second by task queue, enforced by the server over all workers: 60-80 % of the provider's quota."""
    drain: Duration = timedelta(seconds=30)
    """How long a stopping worker lets activities under way finish; longer than one attempt's provider timeout."""
    doctor_every: Duration = timedelta(minutes=5)
    """How often the relay that leads looks for what is stuck."""
    deployment_name: str = "perennial"
    build_id: str = ""
    """Turns on Worker Versioning: runs are pinned to this build, and upgraded when they continue as new."""

    def require(self, *needs: Need) -> None:
        """Raise ValueError, in production, with all that is wrong with what is needed: once, not one after another."""
        if self.environment != "production":
            return
        wrong = [words for need in needs for words in self._wrong_with(need)]
        if wrong:
            raise ValueError(f"in production, {'; '.join(wrong)}")

    def _wrong_with(self, need: Need) -> Iterator[str]:
        match need:
            case "secret":
                if len(self.secret.get_secret_value()) < 32:
                    yield "PERENNIAL_SECRET must have at least 32 characters"
            case "address secret":
                if 0 < len(self.address_secret.get_secret_value()) < 32:
                    yield "PERENNIAL_ADDRESS_SECRET must have at least 32 characters"
            case "links":
                if not self.public_url.startswith("https://"):
                    yield "PERENNIAL_PUBLIC_URL must begin with https://"
            case "topics":
                if not any(self.sns_topic_arns):
                    yield "PERENNIAL_SNS_TOPIC_ARNS must name the topics that SES's events come by"
                if self.sns_certificate_url:
                    yield "PERENNIAL_SNS_CERTIFICATE_URL must not be set: it is the sandbox's"

    @property
    def signing_secret(self) -> str:
        """What signs links and cursors. Raises ValueError in production where it is too short to keep them honest."""
        self.require("secret")
        return self.secret.get_secret_value()

    @property
    def hash_secret(self) -> str:
        """What hashes of addresses are made with. Raises ValueError in production where it could be guessed."""
        self.require("address secret")
        return self.address_secret.get_secret_value()

    @property
    def sns_believed(self) -> tuple[str | None, tuple[str, ...]]:
        """Whose notifications are believed: an address of certificates besides Amazon's, and the topics.

        Raises ValueError in production where that is anybody: everybody with an AWS account has a topic that Amazon
        signs for.
        """
        self.require("topics")
        return self.sns_certificate_url, self.sns_topic_arns

    @property
    def sender(self) -> dict[str, str]:
        """What emails and pages show of the brand: the arguments of `tracks.content.brand.Brand`."""
        return {
            "name": self.sender_name,
            "website": self.sender_website,
            "logo": self.sender_logo,
            "address": self.sender_address,
            "color": self.sender_color,
        }

    @property
    def link_base(self) -> str:
        """What the links of messages begin with.

        Raises ValueError in production where that is not https: mail programs unsubscribe by one click only there
        (https://www.rfc-editor.org/rfc/rfc8058#section-3.1).
        """
        self.require("links")
        return self.public_url

    @property
    def docs_served(self) -> bool:
        """What a stranger can learn of the API from itself, production must ask for by name."""
        return self.environment == "development" if self.docs is None else self.docs

    @property
    def pace_at_entry(self) -> float:
        """The pace of runs begun by an entry rule."""
        return self.entry_pace if self.pace_allowed else 1.0

    @property
    def pace_allowed(self) -> bool:
        """Pacing changes when messages go out, so production must ask for it by name."""
        return self.environment == "development" if self.allow_pace is None else self.allow_pace


@lru_cache
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
