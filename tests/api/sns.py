"""A stand-in for Amazon SNS: a key, its certificate, and messages signed as SNS signs them."""

from __future__ import annotations

import base64
import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

AMAZON = "https://sns.eu-west-1.amazonaws.com"
CERTIFICATE = f"{AMAZON}/SimpleNotificationService-0123456789abcdef0123456789abcdef.pem"
TOPIC = "arn:aws:sns:eu-west-1:123456789012:perennial"


class Signer:
    """Signs messages. `app` serves its certificate and counts the requests."""

    def __init__(self, *, expired: bool = False) -> None:
        self._key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        until = datetime.now(UTC) + timedelta(days=-1 if expired else 1)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(until - timedelta(days=30))
            .not_valid_after(until)
            .sign(self._key, hashes.SHA256())
        )
        self._pem = certificate.public_bytes(serialization.Encoding.PEM)
        self.visited: list[str] = []
        self.app = Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        self.visited.append(str(request.url))
        if request.url.path.endswith(".pem"):
            return Response(self._pem, media_type="application/x-pem-file")
        if "ConfirmSubscription" in request.url.query:
            return PlainTextResponse("<ConfirmSubscriptionResponse/>")
        return PlainTextResponse("no such page", 404)

    def notification(self, message: dict[str, Any], *, version: str = "2", **fields: str) -> dict[str, str]:
        """A signed notification whose text is `message`."""
        return self.sign({"Type": "Notification", "Message": json.dumps(message)} | fields, version)

    def confirmation(self, *, version: str = "1", **fields: str) -> dict[str, str]:
        """A signed request to confirm a subscription."""
        url = f"{AMAZON}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token=abc"
        message = {"Type": "SubscriptionConfirmation", "Message": "confirm", "Token": "abc", "SubscribeURL": url}
        return self.sign(message | fields, version)

    def sign(self, message: dict[str, str], version: str) -> dict[str, str]:
        """Fill in what is missing and sign."""
        whole = {
            "MessageId": str(uuid.uuid4()),
            "TopicArn": TOPIC,
            "Timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "SigningCertURL": CERTIFICATE,
        } | message
        # The order that Amazon documents, written again so that the tested code is not compared with itself.
        names = ["Message", "MessageId", "Subject", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"]
        text = "".join(f"{name}\n{whole[name]}\n" for name in names if name in whole)
        algorithm = hashes.SHA1() if version == "1" else hashes.SHA256()
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), algorithm)
        return whole | {"SignatureVersion": version, "Signature": base64.b64encode(signature).decode()}


async def tell(anonymous: httpx.AsyncClient, notification: dict[str, str]) -> int:
    """Deliver as SNS does: JSON with the content type text/plain."""
    answer = await anonymous.post(
        "/webhooks/ses", content=json.dumps(notification), headers={"Content-Type": "text/plain; charset=UTF-8"}
    )
    return answer.status_code
