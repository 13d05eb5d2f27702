"""The providers' own clients, pointed at a sandbox."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import boto3
import hubspot
from botocore.config import Config
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response
from twilio.rest import Client

from tests.sandbox_server import ACCOUNT_SID, AUTH_TOKEN


def ses_client(url: str, read_timeout: float = 10) -> Any:
    """boto3's SES v2 client, without retries of its own."""
    return boto3.client(
        "sesv2",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, read_timeout=read_timeout),
    )


class _Redirected(TwilioHttpClient):  # type: ignore[misc]
    def __init__(self, url: str) -> None:
        super().__init__(timeout=10)
        self._base = urlsplit(url)[:2]

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> Response:
        parts = urlsplit(url)
        return super().request(method, urlunsplit((*self._base, *parts[2:])), *args, **kwargs)


def twilio_client(url: str, account: str = ACCOUNT_SID, token: str = AUTH_TOKEN) -> Any:
    """Twilio's client."""
    return Client(account, token, http_client=_Redirected(url))


def hubspot_client(url: str) -> Any:
    """HubSpot's client."""
    client = hubspot.Client.create(access_token="pat-test")
    client.config["host"] = url
    return client


def simple_email(to: str, **more: Any) -> dict[str, Any]:
    """Arguments of a `send_email` like the application's: both parts, tags, one-click unsubscribing."""
    return {
        "FromEmailAddress": "Ada <ada@acme.test>",
        "Destination": {"ToAddresses": [to]},
        "Content": {
            "Simple": {
                "Subject": {"Data": "Grüezi & welcome"},
                "Body": {
                    "Html": {"Data": '<p>Hi. <a class="x" href="https://acme.test/start?a=1&amp;b=2">Start</a></p>'},
                    "Text": {"Data": "Hi. https://acme.test/start?a=1&b=2"},
                },
                "Headers": [
                    {"Name": "List-Unsubscribe", "Value": "<https://acme.test/u/token>"},
                    {"Name": "List-Unsubscribe-Post", "Value": "List-Unsubscribe=One-Click"},
                ],
            }
        },
        "ConfigurationSetName": "perennial",
        "EmailTags": [{"Name": "perennial-message", "Value": "0190-ab_c"}],
        **more,
    }
