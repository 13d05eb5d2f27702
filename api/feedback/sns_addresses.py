"""Which addresses in an SNS message may be fetched: a certificate's or a subscription's, on the topic's SNS host.

The URL that is fetched is built again from the parts that were checked, because parsers read the same text
differently: `urlsplit` drops line ends and tabs, httpx refuses them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

_PRINTABLE = re.compile(r"[!-~]{1,2000}")
_HOST = re.compile(r"sns\.(?P<region>[a-z]{2}(-[a-z]+)+-[0-9])\.amazonaws\.com(\.cn)?")
_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9a-f]{1,64}\.pem")
_TOPIC = re.compile(r"arn:aws[a-z-]*:sns:(?P<region>[a-z0-9-]+):[0-9]+:[!-~]+")


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a web address."""

    scheme: str
    host: str
    port: int
    path: str
    query: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port."""
        return self.scheme, self.host, self.port

    @property
    def url(self) -> str:
        """The address as text."""
        usual = self.port == (443 if self.scheme == "https" else 80)
        where = self.host if usual else f"{self.host}:{self.port}"
        return f"{self.scheme}://{where}{self.path}" + (f"?{self.query}" if self.query else "")


def read(url: object) -> Address | None:
    """Parse an address. Returns None if it is no web address, or if parsers could read it in different ways."""
    if not isinstance(url, str) or not _PRINTABLE.fullmatch(url) or "\\" in url:
        return None
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or "[" in parts.netloc:
        return None
    port = port or (443 if parts.scheme == "https" else 80)
    address = Address(parts.scheme, parts.hostname, port, parts.path or "/", parts.query)
    try:
        fetched = httpx.URL(address.url)
    except httpx.InvalidURL:  # such as an IPv4 address with a leading zero
        return None
    return address if fetched.raw_host == address.host.encode() else None


def of_amazon(address: Address, topic: object) -> bool:
    """Whether the address is on the SNS host of the topic's region."""
    host, arn = _HOST.fullmatch(address.host), _TOPIC.fullmatch(topic) if isinstance(topic, str) else None
    if address.scheme != "https" or address.port != 443 or host is None or arn is None:
        return False
    return host["region"] == arn["region"]


def names_certificate(address: Address) -> bool:
    """Whether the address has the form of Amazon's certificate addresses."""
    return not address.query and _CERTIFICATE.fullmatch(address.path) is not None
