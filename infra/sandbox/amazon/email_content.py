"""The email in a SendEmail request, from its Simple or Raw content."""

from __future__ import annotations

import base64
import binascii
import email
import email.policy
import re
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Any

from infra.sandbox.amazon.service_model import AwsError

MAX_RECIPIENTS = 50
MAX_BYTES = 40 * 1024 * 1024
MAX_HEADER = 996
"""Limit for name and value together, from the description of `MessageHeader`."""
_TAG = re.compile(r"[A-Za-z0-9_\-.@]{1,256}")


@dataclass(slots=True)
class Email:
    """One email as its recipients would get it."""

    sender: str
    recipients: list[str]
    subject: str
    html: str
    text: str
    headers: list[list[str]]
    to: list[str] = field(default_factory=list)
    reply_to: list[str] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)
    configuration_set: str = ""


def read_email(params: dict[str, Any]) -> Email:
    """The email of a checked SendEmail call. Raises AwsError where SES would refuse."""
    content = params["Content"]
    given = [kind for kind in ("Simple", "Raw", "Template") if kind in content]
    if given == ["Simple"]:
        found = _simple(params, content["Simple"])
    elif given == ["Raw"]:
        found = _raw(params, content["Raw"])
    elif given == ["Template"]:
        raise AwsError("BadRequestException", "The sandbox renders no SES templates; send Simple or Raw content.")
    else:
        raise AwsError("BadRequestException", "Exactly one of Simple, Raw, Template must be given as content.")
    if not found.recipients:
        raise AwsError("BadRequestException", "Destination must contain at least one recipient.")
    if len(found.recipients) > MAX_RECIPIENTS:
        raise AwsError("BadRequestException", f"Recipient count exceeds {MAX_RECIPIENTS}.")
    for address in (found.sender, *found.recipients, *found.reply_to):
        _check_address(address)
    for name, value in ((header["Name"], header["Value"]) for header in content.get("Simple", {}).get("Headers", [])):
        if len(name) + len(value) > MAX_HEADER:
            raise AwsError("BadRequestException", f"Header <{name}> is longer than {MAX_HEADER} characters.")
    found.tags = _tags(params.get("EmailTags", []))
    found.configuration_set = params.get("ConfigurationSetName", "")
    return found


def _simple(params: dict[str, Any], simple: dict[str, Any]) -> Email:
    body = simple["Body"]
    if not body:
        raise AwsError("BadRequestException", "Body must contain at least one of Text or Html.")
    destination = params.get("Destination", {})
    to, sender = destination.get("ToAddresses", []), params.get("FromEmailAddress", "")
    reply_to = params.get("ReplyToAddresses", [])
    if not sender:
        raise AwsError("BadRequestException", "FromEmailAddress must not be empty.")
    parts = [part for part in ("Text", "Html") if part in body]
    kind = "multipart/alternative" if len(parts) == 2 else f"text/{'plain' if parts == ['Text'] else 'html'}"
    headers = [["From", sender]]
    headers += [["Reply-To", ", ".join(reply_to)]] if reply_to else []
    headers += [["To", ", ".join(to)]] if to else []
    headers += [["Subject", simple["Subject"]["Data"]], ["MIME-Version", "1.0"], ["Content-Type", kind]]
    headers += [[header["Name"], header["Value"]] for header in simple.get("Headers", [])]
    return Email(
        sender=sender,
        recipients=_everybody(destination),
        subject=simple["Subject"]["Data"],
        html=body.get("Html", {}).get("Data", ""),
        text=body.get("Text", {}).get("Data", ""),
        headers=headers,
        to=to,
        reply_to=reply_to,
    )


def _raw(params: dict[str, Any], raw: dict[str, Any]) -> Email:
    try:
        data = base64.b64decode(raw["Data"], validate=True)
    except (binascii.Error, ValueError):
        raise AwsError("SerializationException", "Raw.Data is not base64.", 400) from None
    if len(data) > MAX_BYTES:
        raise AwsError("BadRequestException", "Message length is more than 41943040 bytes long.")
    parsed = email.message_from_bytes(data, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    headers = [[name, str(value)] for name, value in parsed.items()]
    to = _addresses(parsed, "To")
    html, text = parsed.get_body(("html",)), parsed.get_body(("plain",))
    return Email(
        sender=params.get("FromEmailAddress") or str(parsed.get("From", "")),
        recipients=_everybody(params.get("Destination", {}))
        or to + _addresses(parsed, "Cc") + _addresses(parsed, "Bcc"),
        subject=str(parsed.get("Subject", "")),
        html=str(html.get_content()) if html else "",
        text=str(text.get_content()) if text else "",
        headers=[header for header in headers if header[0].lower() != "bcc"],
        to=to,
        reply_to=_addresses(parsed, "Reply-To"),
    )


def _addresses(parsed: EmailMessage, name: str) -> list[str]:
    return [str(address) for header in parsed.get_all(name, []) for address in header.addresses]


def _everybody(destination: dict[str, Any]) -> list[str]:
    return [address for kind in ("To", "Cc", "Bcc") for address in destination.get(f"{kind}Addresses", [])]


def _check_address(address: str) -> None:
    """Check an address as the description of `Destination` says: no SMTPUTF8, so 7-bit ASCII before the @ and Punycode
    after it."""
    found = parseaddr(address)[1]
    local, at, domain = found.rpartition("@")
    if not at:
        raise AwsError("BadRequestException", "Missing final '@domain'")
    for part, what in ((local, "Local address"), (domain, "Domain")):
        if problem := _wrong_part(part, what):
            raise AwsError("BadRequestException", problem)
    if not re.fullmatch(r"[A-Za-z0-9.-]+", domain):
        raise AwsError("BadRequestException", "Domain contains illegal character")


def _wrong_part(part: str, what: str) -> str:
    if not part:
        return f"{what} is missing"
    if not all("!" <= letter <= "~" for letter in part):
        return f"{what} contains control or whitespace"
    if part.startswith('"') and what == "Local address":
        return ""
    for end, where in ((part[0], "starts with"), (part[-1], "ends with")):
        if end == ".":
            return f"{what} {where} dot"
    return f"{what} contains dot-dot" if ".." in part else ""


def _tags(given: list[dict[str, str]]) -> dict[str, str]:
    tags: dict[str, str] = {}
    for tag in given:
        if tag["Name"] in tags:
            raise AwsError("BadRequestException", f"Duplicate tag name: {tag['Name']}.")
        for what, value in (("name", tag["Name"]), ("value", tag["Value"])):
            if not _TAG.fullmatch(value):
                raise AwsError(
                    "BadRequestException",
                    f"Invalid tag {what} <{value}>, tags may contain only alphanumeric ASCII characters, "
                    "'_', '-', '.', '@'.",
                )
        tags[tag["Name"]] = tag["Value"]
    return tags
