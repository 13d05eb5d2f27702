"""Whether a request is from Twilio: judged by Twilio's own library, against the public address."""

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

    The address is the public one: what this process sees behind a proxy is not what Twilio called.
    """
    token = settings.twilio_auth_token.get_secret_value()
    signature = request.headers.get(SIGNATURE_HEADER, "")
    if not token or not signature:
        return False
    url = settings.public_url.rstrip("/") + request.scope["path"]  # `request.url` reads the Host header, a stranger's
    if query := request.scope["query_string"].decode("latin-1"):
        url += f"?{query}"
    algorithm = get_signature_algorithm(request.headers.get(SIGNATURE_SETTINGS_HEADER, ""))
    return bool(RequestValidator(token).validate(url, dict(form), signature, algorithm)) and not _recut(form)


def _recut(form: Mapping[str, str]) -> bool:
    """Whether the sender's number stands amid another value.

    Twilio signs names and values run together. Whoever got hold of a signed call could cut its text so that it ends in
    another sender's name, but has to leave the true one somewhere, and within the text alone it does no harm.
    """
    return any(_SENDER.search(value) for name, value in form.items() if name != "Body")
