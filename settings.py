"""All configuration, typed. Nothing else in the project reads the environment.

Variables have the prefix `PERENNIAL_`. Exceptions are `DATABASE_URL`, AWS credentials, which come from the usual AWS
chain, and Temporal's client, which uses its standard `TEMPORAL_*` environment and profile.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


def _seconds(value: object) -> object:
    """Read a plain `30` in the environment as seconds; `PT30S` and `00:00:30` work too."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value


Need = Literal["secret", "address secret", "links", "topics", "stripe"]
"""What a process may need and production must check: to sign, to hash addresses, to write links, to accept the events
of SNS and of Stripe."""
RECEIVING: tuple[Need, ...] = ("secret", "address secret", "links", "topics", "stripe")
"""What the API needs."""
SENDING: tuple[Need, ...] = ("secret", "address secret", "links")
"""What a worker needs."""

INSTALL_STRIPE = "pip install '.[stripe]'"
"""How to install the extra that Stripe's events need."""

Duration = Annotated[timedelta, BeforeValidator(_seconds)]
Web = Annotated[str, Field(pattern=r"^(https?://[A-Za-z0-9.-]+(:[0-9]+)?([/?][!#-+\--:=-~]*)?)?$", max_length=500)]
"""A web address, or empty. It is used in a header: no spaces, quotes, commas or semicolons."""

MappedAttribute = Annotated[str, Field(pattern=r"^[^:]+(:(text|number|bool|date|datetime))?$")]
"""An attribute's name, and the type of its values."""


class Settings(BaseSettings):
    """Configuration of every process. The defaults suit local development."""

    model_config = SettingsConfigDict(env_prefix="PERENNIAL_", extra="ignore", env_nested_delimiter="__")

    environment: Literal["development", "production"] = "development"
    allow_pace: bool | None = None
    """Whether runs may have a faster clock (a pace); unset means only in development."""
    entry_pace: float = 1.0
    """Pace of the runs that a track's entry rule starts, if pacing is allowed: for demos and staging."""
    api_key: SecretStr = SecretStr("")
    """The API key with which the command line calls the API (`perennial publish`)."""
    profile: str = ""
    """The profile from which commands take the API's address and key (`cli.shared.profiles`)."""

    database_url: SecretStr = Field(
        default=SecretStr("postgresql://localhost/perennial"), validation_alias="DATABASE_URL"
    )
    database_pool: int = 10

    requests_at_once: int = Field(default=128, ge=1)
    """How many requests an API process serves at the same time. A body takes another place for each 32 KiB."""
    requests_waiting: int = Field(default=256, ge=0)
    """How many requests may wait for a place. Callbacks of providers and requests of contacts: four times as many."""
    longest_request_wait: Duration = timedelta(seconds=5)
    """How long a request may wait. Callbacks of providers and requests of contacts may wait twice as long."""

    secret: SecretStr = SecretStr("")
    """The secret that signs links. It has at least 32 characters in production."""
    address_secret: SecretStr = SecretStr("")
    """The secret for hashes of addresses; never change it. If empty, addresses can be guessed from hashes."""
    public_url: str = "http://127.0.0.1:8000"
    """The address at which contacts and providers reach the API: the base of links, callbacks and signatures."""

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
    """Port for the API's `/metrics` and `/readyz`. If set, they are not on the public port."""
    worker_port: int | None = Field(default=None, ge=1, le=65535)
    """Port for the health checks of a worker or a relay; unset means none."""
    docs: bool | None = None
    """Whether `/docs` and `/openapi.json` are served; unset means only in development."""

    payload_keys: tuple[SecretStr, ...] = ()
    """Keys (32 bytes in base64) that encrypt what Temporal stores about runs. The first key encrypts, all decrypt."""

    click_hold: Duration = timedelta(seconds=10)
    """How long a click that looks like a person's is held before tracks get it: it may be the first of a scanner's
    burst.
    """
    click_soon: Duration = timedelta(seconds=5)
    """A click within this time after the delivery counts as a machine's."""

    data: Path = Path(__file__).parent / ".perennial"
    """The folder for all data of the local stack (`perennial up`)."""

    # Email: Amazon SES v2 (credentials and region from the usual AWS chain)
    ses_endpoint_url: str | None = None
    aws_region: str = "us-east-1"
    ses_configuration_set: str = "perennial"
    sns_topic_arns: tuple[str, ...] = ()
    """Topics whose notifications are accepted. Empty means any topic with a valid signature, but not in production."""
    sns_certificate_url: str | None = None
    """Another address for signing certificates besides Amazon's hosts (the sandbox's); not in production."""

    # SMS: Twilio
    twilio_base_url: str | None = None
    twilio_account_sid: str = ""
    twilio_auth_token: SecretStr = SecretStr("")
    twilio_messaging_service_sid: str | None = None
    sms_help_text: str = ""
    """The answer to HELP and INFO. If empty, Twilio answers them itself."""

    # Billing: Stripe
    stripe_webhook_secret: SecretStr = SecretStr("")
    """The signing secrets (`whsec_…`) of the webhook endpoint, separated by commas. Any of them may have signed. Empty
    means that no event of Stripe is accepted.
    """

    # CRM
    crm: Literal["builtin", "hubspot"] = "builtin"
    hubspot_base_url: str | None = None
    hubspot_token: SecretStr = SecretStr("")
    hubspot_client_secret: SecretStr = SecretStr("")
    """The client secret of the app whose webhooks are accepted; several, separated by commas, while it is changed.
    Empty means that none are accepted.
    """
    hubspot_app_id: str = ""
    """The app whose token writes to HubSpot, so that its changes are known as our own; if empty, the app that sends the
    webhooks.
    """
    hubspot_attributes: dict[str, MappedAttribute] = {"lifecyclestage": "crm_stage"}
    """The properties of HubSpot's contacts that become attributes, and the attributes' names, each with the type of its
    values after a colon (`seats:number`); without one they are text.
    """
    hubspot_id_property: str = "perennial_contact_id"
    """The property of HubSpot's contacts that holds the contact's id here."""
    hubspot_outcome_property: str = "perennial_outcome"
    """The property of HubSpot's tasks in which a salesperson says what came of the task."""

    webhook_secret: SecretStr = SecretStr("")
    """Standard Webhooks secret (`whsec_…`) that signs the calls of `webhook` steps."""
    webhook_hosts: tuple[str, ...] = ()
    """Hosts that `webhook` steps may call. Empty means any public host, and in development any host."""
    webhook_proxy: str | None = None
    """HTTP proxy for the calls of `webhook` steps."""

    provider_timeout: Duration = timedelta(seconds=10)
    """Read timeout of a provider call. After it the outcome is unknown, not failed."""

    # Workers
    cached_runs: int = 1000
    """How many runs a worker keeps in memory between their workflow tasks: about 55 KB each."""
    concurrent_sends: int = 20
    """Concurrent activities per provider queue and worker process."""
    import_rate: float = 100.0
    """Most rows a second of an import that names no rate of its own."""
    queue_rates: dict[str, float] = {}
    """Activities per second by task queue. The server enforces it over all workers: use 60-80 % of the provider's
    quota.
    """
    drain: Duration = timedelta(seconds=30)
    """How long a stopping worker waits for running activities. It must be longer than one attempt's provider timeout.
    """
    doctor_every: Duration = timedelta(minutes=5)
    """How often the leading relay runs the doctor's brief check."""
    deployment_name: str = "perennial"
    build_id: str = ""
    """Build id for Worker Versioning: runs are pinned to this build, and upgraded when they continue as new. Unset
    means off."""

    def require(self, *needs: Need) -> None:
        """In production, raise ValueError if a needed setting is wrong. The text names all errors at once."""
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
            case "stripe":
                if not all(secret.startswith("whsec_") for secret in self.stripe_secrets):
                    yield "PERENNIAL_STRIPE_WEBHOOK_SECRET must hold secrets that begin with whsec_"
                if self.stripe_secrets and not self.stripe_installed:
                    yield f"PERENNIAL_STRIPE_WEBHOOK_SECRET needs Stripe's library: {INSTALL_STRIPE}"

    @property
    def signing_secret(self) -> str:
        """The secret that signs links and cursors. Raises ValueError in production if it is too short."""
        self.require("secret")
        return self.secret.get_secret_value()

    @property
    def hash_secret(self) -> str:
        """The secret for hashes of addresses. Raises ValueError in production if it is too short."""
        self.require("address secret")
        return self.address_secret.get_secret_value()

    @property
    def sns_believed(self) -> tuple[str | None, tuple[str, ...]]:
        """Which notifications are accepted: another address of certificates besides Amazon's, and the topics.

        Raises ValueError in production if any topic would be accepted: everybody with an AWS account can have a topic
        for which Amazon signs.
        """
        self.require("topics")
        return self.sns_certificate_url, self.sns_topic_arns

    @property
    def stripe_secrets(self) -> tuple[str, ...]:
        """The secrets with which Stripe may sign; none if its events are not accepted."""
        given = self.stripe_webhook_secret.get_secret_value().split(",")
        return tuple(secret.strip() for secret in given if secret.strip())

    @property
    def hubspot_secrets(self) -> tuple[str, ...]:
        """The secrets with which HubSpot may sign; none if its webhooks are not accepted."""
        given = self.hubspot_client_secret.get_secret_value().split(",")
        return tuple(secret.strip() for secret in given if secret.strip())

    @property
    def stripe_installed(self) -> bool:
        """Whether Stripe's library is there, which is an extra. It is looked for, not imported."""
        return find_spec("stripe") is not None

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
        """The base address of links in messages.

        Raises ValueError in production if it is not https: mail programs use one-click unsubscribe only with https
        (https://www.rfc-editor.org/rfc/rfc8058#section-3.1).
        """
        self.require("links")
        return self.public_url

    @property
    def docs_served(self) -> bool:
        """Whether the API's documentation is served. Anybody can read it, so production must enable it explicitly."""
        return self.environment == "development" if self.docs is None else self.docs

    @property
    def pace_at_entry(self) -> float:
        """The pace of runs that an entry rule starts."""
        return self.entry_pace if self.pace_allowed else 1.0

    @property
    def pace_allowed(self) -> bool:
        """Whether runs may be paced. It changes when messages are sent, so production must enable it explicitly."""
        return self.environment == "development" if self.allow_pace is None else self.allow_pace


@lru_cache
def get_settings() -> Settings:
    """The process's settings, read once."""
    return Settings()
