"""Verify that a request is from Twilio, with Twilio's own library and the public address."""

from __future__ import annotations

import re
from collections.abc import Mapping

from fastapi import Request
from twilio.request_validator import (
    SIGNATURE_HEADER,
    SIGNATURE_SETTINGS_HEADER,
    RequestValidator,
    get_signature_algorithm,
)

from settings import Settings

_SENDER = re.compile(r"From(?:\w{1,20}:)?\+\d", re.ASCII)


def genuine(settings: Settings, request: Request, form: Mapping[str, str]) -> bool:
    """Whether Twilio signed this form for this address with the account's token.

    The address is the public one: behind a proxy, this process sees another address than the one that Twilio called.
    """
    token = settings.twilio_auth_token.get_secret_value()
    signature = request.headers.get(SIGNATURE_HEADER, "")
    if not token or not signature:
        return False
    url = settings.public_url.rstrip("/") + request.scope["path"]  # `request.url` trusts the Host header
    if query := request.scope["query_string"].decode("latin-1"):
        url += f"?{query}"
    algorithm = get_signature_algorithm(request.headers.get(SIGNATURE_SETTINGS_HEADER, ""))
    return bool(RequestValidator(token).validate(url, dict(form), signature, algorithm)) and not _recut(form)


def _recut(form: Mapping[str, str]) -> bool:
    """Whether the sender's number stands inside another value.

    Twilio signs names and values without separators. An attacker with a signed call could split its text so that it
    ends in another sender's number, but the true number must stay somewhere. It is harmless only inside the text.
    """
    return any(_SENDER.search(value) for name, value in form.items() if name != "Body")
