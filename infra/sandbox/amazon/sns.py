"""Amazon SNS as a subscriber sees it: topics, confirmation, and notifications with valid signatures."""

from __future__ import annotations

import base64
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from infra.sandbox.core.callbacks import Callbacks, NotYet, Outgoing
from infra.sandbox.core.journal import Entry, Journal, Place
from infra.sandbox.core.mailbox import iso
from infra.sandbox.core.options import Options

ACCOUNT = "000000000000"
REGION = "us-east-1"
CONFIRM_AGAIN = 5.0
SIGNED_FIELDS = {
    "Notification": ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"),
    "SubscriptionConfirmation": ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"),
}


class Signer:
    """The key that signs notifications. It is in the data directory, so that receivers may cache the certificate."""

    def __init__(self, data: Path, version: str) -> None:
        self.version = version
        self._hash = hashes.SHA1() if version == "1" else hashes.SHA256()
        path = data / "sns-signing.pem"
        if not path.exists():
            path.touch(mode=0o600)
            path.touch(mode=0o600)
            path.write_bytes(_new_key_and_certificate())
        pem = path.read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        self._key = key
        self.certificate = x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.PEM)

    def sign(self, envelope: dict[str, str]) -> str:
        """The signature over the fields of an envelope that Amazon signs, in Amazon's order."""
        fields = SIGNED_FIELDS[envelope["Type"]]
        text = "".join(f"{name}\n{envelope[name]}\n" for name in fields if name in envelope)
        return base64.b64encode(self._key.sign(text.encode(), padding.PKCS1v15(), self._hash)).decode()


def _new_key_and_certificate() -> bytes:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.sandbox.invalid")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def topic_arn(name: str) -> str:
    """The ARN of the topic with that name."""
    return f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"


class Sns:
    """Every topic has one subscriber, `<callback base>/webhooks/ses`, which gets notifications only after it has
    confirmed.
    """

    def __init__(self, options: Options, book: Journal, callbacks: Callbacks) -> None:
        self._base = options.base_url
        self._endpoint = f"{options.callback_base}/webhooks/ses" if options.callback_base else ""
        self._book = book
        self._callbacks = callbacks
        self._signer = Signer(options.data, options.signature_version)
        self._confirmed: set[tuple[str, str]] = set()
        self._asked: set[str] = set()
        callbacks.builder("sns-confirm", self._confirmation_request)
        book.subscribe("sns-confirmed", self._apply_confirmed)

    def routes(self) -> list[Route]:
        """The certificate, and the target of a SubscribeURL."""
        return [
            Route("/sns/cert.pem", self._certificate, methods=["GET"]),
            Route("/sns", self._action, methods=["GET"]),
        ]

    def topic(self, arn: str) -> None:
        """Ask the topic's subscriber to confirm, if this was not done yet."""
        if self._endpoint and arn not in self._asked:
            self._asked.add(arn)
            if (arn, self._endpoint) not in self._confirmed:
                self._callbacks.add("sns-confirm", f"confirm:{arn}", time.time(), {"topic": arn, **_new_ids()})

    def has_subscriber(self) -> bool:
        """Whether an application is configured to receive callbacks."""
        return bool(self._endpoint)

    def notification(self, arn: str, message: dict[str, Any], subject: str, message_id: str) -> Outgoing:
        """A signed notification. Raises NotYet while the subscription is not confirmed."""
        if (arn, self._endpoint) not in self._confirmed:
            raise NotYet
        envelope = {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": arn,
            "Subject": subject,
            "Message": json.dumps(message, separators=(",", ":")),
            "Timestamp": iso(time.time()),
        }
        unsubscribe = {"Action": "Unsubscribe", "SubscriptionArn": self._subscription(arn)}
        return self._signed(envelope, {"UnsubscribeURL": f"{self._base}/sns?{urlencode(unsubscribe)}"})

    def _confirmation_request(self, args: dict[str, Any]) -> Outgoing | None:
        arn = args["topic"]
        if not self._endpoint or (arn, self._endpoint) in self._confirmed:
            return None
        visit = {"Action": "ConfirmSubscription", "TopicArn": arn, "Token": args["token"]}
        return self._signed(
            {
                "Type": "SubscriptionConfirmation",
                "MessageId": args["uuid"],
                "Token": args["token"],
                "TopicArn": arn,
                "Message": f"You have chosen to subscribe to the topic {arn}.\n"
                "To confirm the subscription, visit the SubscribeURL included in this message.",
                "SubscribeURL": f"{self._base}/sns?{urlencode(visit)}",
                "Timestamp": iso(time.time()),
            },
            {},
            # Without a repeat, a subscriber that answers 200 but fails to follow the link would wait for ever.
            again_after=CONFIRM_AGAIN,
        )

    def _signed(self, envelope: dict[str, str], more: dict[str, str], again_after: float | None = None) -> Outgoing:
        body = {
            **envelope,
            "SignatureVersion": self._signer.version,
            "Signature": self._signer.sign(envelope),
            "SigningCertURL": f"{self._base}/sns/cert.pem",
            **more,
        }
        headers = {
            "content-type": "text/plain; charset=UTF-8",
            "user-agent": "Amazon Simple Notification Service Agent",
            "x-amz-sns-message-type": envelope["Type"],
            "x-amz-sns-message-id": envelope["MessageId"],
            "x-amz-sns-topic-arn": envelope["TopicArn"],
        }
        if envelope["Type"] == "Notification":
            headers["x-amz-sns-subscription-arn"] = self._subscription(envelope["TopicArn"])
        return Outgoing(self._endpoint, headers, json.dumps(body).encode(), again_after)

    def _subscription(self, arn: str) -> str:
        return f"{arn}:{uuid.uuid5(uuid.NAMESPACE_URL, self._endpoint)}"

    async def _certificate(self, request: Request) -> Response:
        return Response(self._signer.certificate, media_type="application/x-pem-file")

    async def _action(self, request: Request) -> Response:
        arn = request.query_params.get("TopicArn", "")
        if request.query_params.get("Action") != "ConfirmSubscription" or arn not in self._asked:
            return Response("<ErrorResponse/>", 400, media_type="text/xml")
        if (arn, self._endpoint) not in self._confirmed:
            self._book.write("sns-confirmed", topic=arn, endpoint=self._endpoint)
            self._callbacks.hurry()
        return Response(
            '<ConfirmSubscriptionResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/">'
            f"<ConfirmSubscriptionResult><SubscriptionArn>{self._subscription(arn)}</SubscriptionArn>"
            f"</ConfirmSubscriptionResult><ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata>"
            "</ConfirmSubscriptionResponse>",
            media_type="text/xml",
        )

    def _apply_confirmed(self, entry: Entry, place: Place) -> None:
        self._confirmed.add((entry["topic"], entry["endpoint"]))


def _new_ids() -> dict[str, str]:
    return {"uuid": str(uuid.uuid4()), "token": uuid.uuid4().hex + uuid.uuid4().hex}
