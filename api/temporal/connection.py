"""The connection to Temporal, for the API, the relay and the workers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig

from settings import get_settings


def data_converter(keys: Sequence[SecretStr]) -> DataConverter:
    """The converter of values to Temporal payloads, which keys encrypt. Raises ValueError for an invalid key."""
    if not keys:
        return pydantic_data_converter
    from api.temporal.payload_encryption import AesGcmCodec

    return replace(pydantic_data_converter, payload_codec=AesGcmCodec([key.get_secret_value() for key in keys]))


async def connect(*, lazy: bool = False, otherwise: str | None = None) -> Client:
    """Connect with the standard Temporal environment variables and profile (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`,
    `TEMPORAL_API_KEY`, TLS files, `TEMPORAL_PROFILE`).

    If none of them names an address, `otherwise` or Temporal's default address is used.
    A lazy client connects at its first call, so the API accepts work while Temporal is down.
    """
    options = ClientConfig.load_client_connect_config()
    options.setdefault("target_host", otherwise or "127.0.0.1:7233")
    return await Client.connect(**options, data_converter=data_converter(get_settings().payload_keys), lazy=lazy)
