"""Encrypted payloads are decrypted unchanged with any of the keys, and cannot be confused with others."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter

from api.temporal.connection import data_converter
from api.temporal.payload_encryption import ENCODING, AesGcmCodec, PayloadKeyError

OLD, NEW = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
PAYLOADS = st.builds(Payload, metadata=st.dictionaries(st.text(max_size=9), st.binary(max_size=9)), data=st.binary())


@given(st.lists(PAYLOADS, max_size=4))
async def test_what_is_encrypted_comes_back_also_after_the_keys_were_changed(payloads: list[Payload]) -> None:
    sealed = await AesGcmCodec([OLD]).encode(payloads)
    assert await AesGcmCodec([NEW, OLD]).decode(sealed) == payloads
    assert all(one.metadata["encoding"] == ENCODING for one in sealed)
    again = await AesGcmCodec([NEW, OLD]).encode(payloads)
    assert not {one.data for one in again} & {one.data for one in sealed}
    assert await AesGcmCodec([NEW]).decode(again) == payloads


async def test_what_was_written_before_there_was_a_key_is_read_as_it_is() -> None:
    before = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
    assert await AesGcmCodec([NEW]).decode([before]) == [before]


async def test_another_key_and_a_changed_payload_are_refused() -> None:
    [sealed] = await AesGcmCodec([OLD]).encode([Payload(data=b"1")])
    with pytest.raises(PayloadKeyError, match="PERENNIAL_PAYLOAD_KEYS"):
        await AesGcmCodec([NEW]).decode([sealed])
    sealed.data = sealed.data[:-1] + bytes([sealed.data[-1] ^ 1])
    with pytest.raises(PayloadKeyError):
        await AesGcmCodec([OLD]).decode([sealed])


@pytest.mark.parametrize("key", ["", "nonsense!", base64.b64encode(b"short").decode()])
def test_what_is_no_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        AesGcmCodec([key])


def test_without_a_key_nothing_is_in_between() -> None:
    assert data_converter(()) is pydantic_data_converter
    assert data_converter((SecretStr(NEW),)).payload_codec is not None
